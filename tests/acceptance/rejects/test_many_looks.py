"""Looking is free: at once, interrupted, again and again; and what a look says is true."""

from __future__ import annotations

import gzip
import re
import signal
from pathlib import Path

from dlmon.brokers import open_broker
from dlmon.brokers.base import Broker
from dlmon.config.settings import Settings
from dlmon.console.rejects.summary import MANY_DELIVERIES
from dlmon.messages import Message, Queue
from dlmon.rejects.actions import BATCH_SIZE
from dlmon.rejects.export import read_rejects, to_line
from tests.support.dlmon import Dlmon, running
from tests.support.events import make_body
from tests.support.messages import PATIENCE, wait_until
from tests.support.rejections import contents, ids, park, rejection, slow


def test_looks_at_once_cost_nothing_and_none_shows_a_false_total(
    broker: Broker, dlmon: Dlmon
) -> None:
    parked = [slow() for _ in range(3000)]
    park(broker, parked)
    for _ in range(3):
        looks = [dlmon.start("inspect-rejects") for _ in range(3)]
        for look in looks:
            stdout, stderr = look.communicate(timeout=PATIENCE)
            assert look.returncode == 0, stderr
            whole = stdout.startswith("3,000 rejects") and "all looked at" in stdout
            assert whole or "another reader holds" in stderr or "another reader may hold" in stderr
    assert ids(broker, Queue.REJECTS) == sorted(one.message_id for one in parked)


def test_ctrl_c_ends_a_look_which_says_how_far_it_came(broker: Broker, dlmon: Dlmon) -> None:
    count = BATCH_SIZE + 1000
    park(broker, [slow() for _ in range(count)])
    # Its output is not read until it was interrupted: it cannot come to its end before.
    with running(dlmon.start("inspect-rejects", "--json")) as look:
        wait_until(lambda: broker.depth(Queue.REJECTS).ready < count)
        look.send_signal(signal.SIGINT)
        stdout, stderr = look.communicate(timeout=PATIENCE)
    assert look.returncode == 130
    seen = len(stdout.splitlines())
    assert 0 <= seen < count
    assert f"stopped after {seen:,} of {count:,} rejects" in stderr
    wait_until(lambda: broker.depth(Queue.REJECTS).ready == count)


def test_a_look_warns_once_messages_were_handed_out_often(
    rabbitmq_settings: Settings, tmp_path: Path
) -> None:
    dlmon = Dlmon(rabbitmq_settings, tmp_path)
    with open_broker(rabbitmq_settings) as broker:
        park(broker, [slow()])
        for _ in range(MANY_DELIVERIES):
            assert len(contents(broker, Queue.REJECTS)) == 1
        assert not dlmon("inspect-rejects").stderr
        warned = dlmon("inspect-rejects").stderr
    assert f"delivered up to {MANY_DELIVERIES + 1} times" in warned
    assert "policy with a delivery-limit" in warned


def test_an_event_that_no_consumer_could_take_is_a_group_and_goes_back_without_its_past(
    broker: Broker, dlmon: Dlmon
) -> None:
    body = make_body()
    broker.publish(Queue.ARRIVALS, [[Message(body, "poison")]])
    for _ in range(40):
        if broker.depth(Queue.REJECTS).ready:
            break
        with broker.open_consumer(1) as consumer:
            consumer.receive(1, 0.5)
    wait_until(lambda: broker.depth(Queue.REJECTS).ready == 1)
    shown = dlmon("inspect-rejects").stdout
    assert re.search(r"1 +100% +undeliverable ", shown)
    assert "dead-lettered from" in shown
    assert dlmon("replay-rejects", "--code", "undeliverable", "--yes").returncode == 0
    (arrived,) = contents(broker, Queue.ARRIVALS)
    assert (arrived.body, arrived.dead_letter) == (body, None)
    assert {"x-death", "dlmon-code"}.isdisjoint(arrived.headers)
    assert arrived.headers["dlmon-replays"] == 1


def test_a_packed_export_has_the_exact_bytes(broker: Broker, dlmon: Dlmon, tmp_path: Path) -> None:
    parked = [rejection(b'\xff\x00 "no text"'), rejection(b' {"a":\t1.50} \n'), slow()]
    park(broker, parked)
    assert dlmon("inspect-rejects", "--export", "out.ndjson.gz").returncode == 0
    exported = tmp_path / "out.ndjson.gz"
    lines = gzip.decompress(exported.read_bytes()).splitlines(keepends=True)
    assert sorted(lines) == sorted(map(to_line, parked))
    assert {one.body for one in read_rejects(exported)} == {one.body for one in parked}
