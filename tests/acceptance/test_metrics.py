"""What a central stack reads of commands that run for years: metrics, health and logs."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from dlmon.brokers import open_broker
from dlmon.config.settings import Settings, load_settings
from dlmon.messages import PUBLISHED_AT, Message, Queue
from tests.support.dlmon import Dlmon, running
from tests.support.events import make_body
from tests.support.messages import PATIENCE, wait_until
from tests.support.metrics import get, samples, wait_for_samples
from tests.support.node import PrivateNode, free_port


@pytest.fixture
def dlmon(tmp_path: Path) -> Dlmon:
    return Dlmon(load_settings({"broker": f"sqlite:///{tmp_path}/broker.db"}, {}), tmp_path)


def test_consume_tells_what_became_of_events_and_how_long_it_took(dlmon: Dlmon) -> None:
    port = free_port()
    dlmon("produce", "--rate", "0", "--count", "90")
    dlmon("produce", "--rate", "0", "--count", "10", "--fault", "file-size-type")
    with running(dlmon.start("consume", "--metrics", str(port))):
        wait_for_samples(
            port,
            **{
                "dlmon_events_received_total": 100,
                "dlmon_events_stored_total": 90,
                "dlmon_events_rejected_total code=type": 10,
                "dlmon_events_duplicate_total": 0,
                "dlmon_failures_total stage=store": 0,
                "dlmon_event_delay_seconds_count": 90,
                "dlmon_event_delay_seconds_bucket le=3600.0": 90,
                "dlmon_arrivals_queue_messages": 0,
                "dlmon_reject_queue_messages": 10,
                "dlmon_healthy": 1,
            },
        )
        found = samples(port)  # idle by now: nothing is counted any more
    assert found["dlmon_batches_total"] >= 1
    for name in ("dlmon_download_speed_megabits_count", "dlmon_download_size_bytes_count"):
        assert sum(value for key, value in found.items() if key.startswith(f"{name} ")) == 90
    assert found["dlmon_event_delay_seconds_sum"] > 0
    assert found["dlmon_stage_seconds_count stage=park"] == found["dlmon_batches_total"]


def test_produce_tells_what_is_in_flight(dlmon: Dlmon) -> None:
    port = free_port()
    with running(dlmon.start("produce", "--rate", "100", "--metrics", str(port))):
        wait_until(lambda: samples(port).get("dlmon_events_confirmed_total", 0) > 20)
        found = samples(port)
        assert get(port, "/healthz") == (200, "ok")
    sent, confirmed = found["dlmon_events_sent_total"], found["dlmon_events_confirmed_total"]
    assert found["dlmon_events_unconfirmed"] == sent - confirmed


def test_a_store_that_is_locked_is_not_healthy(dlmon: Dlmon, tmp_path: Path) -> None:
    port = free_port()
    with running(dlmon.start("consume", "--metrics", str(port), "--store", "sqlite:///events.db")):
        wait_until(lambda: get(port, "/healthz") == (200, "ok"))
        with closing(sqlite3.connect(tmp_path / "events.db", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            dlmon("produce", "--rate", "0", "--count", "1")
            wait_until(lambda: get(port, "/healthz")[0] == 503)
            assert "locked" in get(port, "/healthz")[1]
            wait_until(lambda: samples(port)["dlmon_failures_total stage=store"] > 0)
        wait_until(lambda: get(port, "/healthz") == (200, "ok"))
        wait_for_samples(port, dlmon_events_stored_total=1)


def test_a_broker_that_is_away_is_not_healthy(
    private_node: PrivateNode, private_settings: Settings, tmp_path: Path
) -> None:
    port = free_port()
    dlmon = Dlmon(private_settings, tmp_path)
    with running(dlmon.start("consume", "--metrics", str(port))):
        wait_until(lambda: get(port, "/healthz") == (200, "ok"))
        private_node.kill()
        wait_until(lambda: get(port, "/healthz") == (503, "The broker does not answer."))
        wait_until(lambda: "dlmon_reject_queue_messages" not in samples(port))
        private_node.start()
        wait_for_samples(port, dlmon_reject_queue_messages=0)
        wait_until(lambda: get(port, "/healthz") == (200, "ok"))
        assert samples(port)["dlmon_reconnects_total"] >= 1


def test_workers_are_told_together(dlmon: Dlmon) -> None:
    port = free_port()
    dlmon("produce", "--rate", "0", "--count", "100")
    with running(dlmon.start("consume", "--workers", "2", "--metrics", str(port))):
        wait_for_samples(port, dlmon_events_stored_total=100, dlmon_event_delay_seconds_count=100)
        found = samples(port)
    counted = [value for key, value in found.items() if "speed_megabits_count" in key]
    assert sum(counted) == 100


def test_the_example_alerts_are_about_metrics_that_exist(dlmon: Dlmon) -> None:
    port = free_port()
    dlmon("produce", "--rate", "0", "--count", "1", "--fault", "file-size-type")
    with running(dlmon.start("consume", "--metrics", str(port))):
        wait_for_samples(port, dlmon_events_received_total=1)
        there = {name.partition(" ")[0] for name in samples(port)}
    alerts = Path(__file__).parents[2] / "examples" / "alerts.yml"
    asked = set(re.findall(r"\bdlmon_\w+", alerts.read_text()))
    assert asked
    assert asked <= there


def test_other_paths_are_not_found_and_a_taken_port_is_told(dlmon: Dlmon) -> None:
    port = free_port()
    with running(dlmon.start("consume", "--metrics", str(port))):
        wait_until(lambda: get(port, "/other")[0] == 404)
        again = dlmon("consume", "--metrics", str(port))
    assert again.returncode == 2
    assert f"--metrics: cannot listen at 127.0.0.1:{port}" in again.stderr


def test_a_producer_goes_on_without_metrics_where_the_port_is_taken(
    dlmon: Dlmon, tmp_path: Path
) -> None:
    port = free_port()
    (tmp_path / "dlmon.toml").write_text(f"metrics = {port}\n")
    with running(dlmon.start("consume")):
        wait_until(lambda: get(port, "/healthz")[0] == 200)
        produced = dlmon("produce", "--rate", "0", "--count", "5")
        assert produced.returncode == 0, produced.stderr
        assert f"cannot listen at 127.0.0.1:{port}" in produced.stderr
        assert "Producing without metrics." in produced.stderr
        wait_until(lambda: samples(port).get("dlmon_events_stored_total") == 5)
    assert dlmon("produce", "--count", "1", "--metrics", "192.0.2.1:9").returncode == 2


def test_times_and_speeds_from_outside_leave_the_totals_finite_and_growing(dlmon: Dlmon) -> None:
    port = free_port()
    now = time.time_ns() // 1_000_000
    odd = [now + 3_600_000, 2**62, -(2**63), 0, now + 50_000, now - 10_000]
    messages = [
        Message(make_body(download_speed=1.7e308), f"{number}", {PUBLISHED_AT: at})
        for number, at in enumerate(odd)
    ]
    with open_broker(load_settings({"broker": dlmon.environment["DLMON_BROKER"]}, {})) as broker:
        broker.publish(Queue.ARRIVALS, [messages])
    with running(dlmon.start("consume", "--metrics", str(port))) as process:
        # The times count of a clock that is a little ahead, and of a sound one.
        wait_for_samples(
            port, dlmon_events_stored_total=len(odd), dlmon_event_delay_seconds_count=2
        )
        found = samples(port)
        process.terminate()
        _, said = process.communicate(timeout=PATIENCE)
    assert 10 <= found["dlmon_event_delay_seconds_sum"] < 60
    assert "published to stored: p50 0 ms" in said
    assert "inf" not in said


def test_logs_are_json_where_no_terminal_is(tmp_path: Path) -> None:
    settings = load_settings({"broker": f"sqlite:///{tmp_path}/broker.db"}, {})
    dlmon = Dlmon(settings, tmp_path, DLMON_LOG_FORMAT="auto")
    dlmon("produce", "--rate", "0", "--count", "2", "--fault", "file-size-type")
    done = dlmon("consume", "--until-empty")
    lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    rejected = [line for line in lines if "dlmon" in line]
    assert len(rejected) == 2
    for line in rejected:
        assert line["log.level"] == "info"
        assert line["@timestamp"].endswith("Z")
        assert line["dlmon"]["code"] == "type"
        assert line["dlmon"]["path"] == "/file_size"
        assert line["dlmon"]["queue"] == f"{settings.namespace}.arrivals"
        assert line["event"]["id"] in line["message"]
    console = Dlmon(settings, tmp_path)("consume", "--until-empty")
    assert not console.stderr.startswith("{")
