"""How many events wait, over both brokers."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from dlmon.brokers.base import Broker
from dlmon.commands.status import look, watch
from dlmon.config.settings import Settings
from dlmon.messages import Queue
from dlmon.runtime.stop import Stop
from tests.support.dlmon import Dlmon
from tests.support.messages import PATIENCE, make_messages, wait_until


@pytest.fixture
def dlmon(settings: Settings, tmp_path: Path) -> Dlmon:
    return Dlmon(settings, tmp_path)


def test_a_second_look_tells_how_fast_a_queue_grows(broker: Broker) -> None:
    first = look(broker)
    assert first.rates == {}
    broker.publish(Queue.ARRIVALS, [make_messages(7)])
    wait_until(lambda: broker.depth(Queue.ARRIVALS).ready == 7)
    second = look(broker, first)
    assert (second.depths[Queue.ARRIVALS].ready, second.depths[Queue.REJECTS].ready) == (7, 0)
    assert second.rates[Queue.ARRIVALS] == pytest.approx(7 / (second.at - first.at))
    assert second.rates[Queue.REJECTS] == 0


def test_watching_ends_with_a_stop(broker: Broker) -> None:
    stop = Stop()
    seen = 0
    for _ in watch(broker, stop, 0.01):
        seen += 1
        if seen == 3:
            stop.request()
    assert seen == 3


def test_it_is_a_check_for_monitors(broker: Broker, dlmon: Dlmon) -> None:
    broker.publish(Queue.REJECTS, [make_messages(3)])
    wait_until(lambda: broker.depth(Queue.REJECTS).ready == 3)
    assert dlmon("status", "--max-rejects", "3", "--max-arrivals", "0").returncode == 0
    too_many = dlmon("status", "--max-rejects", "2")
    assert too_many.returncode == 1
    assert "3 ready" in too_many.stdout


def test_json_is_one_object_for_each_look(broker: Broker, dlmon: Dlmon, namespace: str) -> None:
    broker.publish(Queue.ARRIVALS, [make_messages(2)])
    wait_until(lambda: broker.depth(Queue.ARRIVALS).ready == 2)
    with dlmon.start("status", "--json", "--watch") as process:
        assert process.stdout is not None
        first, second = (json.loads(process.stdout.readline()) for _ in range(2))
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
    assert first["arrivals"]["queue"] == f"{namespace}.arrivals"
    assert (first["arrivals"]["ready"], first["arrivals"]["rate"]) == (2, None)
    assert (second["arrivals"]["ready"], second["arrivals"]["rate"]) == (2, 0)


def test_a_watch_that_should_exit_is_refused(dlmon: Dlmon) -> None:
    done = dlmon("status", "--watch", "--max-rejects", "1")
    assert done.returncode == 2
    assert "--watch" in done.stderr
