"""What holds messages while RabbitMQ takes none, because of a memory or disk alarm."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from dlmon.brokers import open_broker
from dlmon.commands import replay_rejects
from dlmon.commands.consume import consume
from dlmon.config.settings import Settings
from dlmon.errors import BrokerUnreachable
from dlmon.messages import Queue
from dlmon.rejects.actions import Run
from dlmon.rejects.filters import RejectFilter
from dlmon.rejects.queue import QueuedRejects
from dlmon.runtime.stop import Stop
from dlmon.stores.sqlite import SqliteStore
from dlmon.validation.schema import load_schema
from dlmon.validation.validator import Validator
from tests.support.alarms import memory_alarm
from tests.support.holding import HoldingObserver
from tests.support.messages import PATIENCE, ids, in_queue, make_messages, wait_until
from tests.support.node import PrivateNode

pytestmark = pytest.mark.slow


def test_publishing_gives_up_when_it_is_asked_to_and_says_why(
    private_node: PrivateNode, private_settings: Settings
) -> None:
    with open_broker(private_settings) as broker:
        broker.publish(Queue.ARRIVALS, [make_messages(1)])
        with (
            memory_alarm(private_node),
            pytest.raises(BrokerUnreachable, match=r"confirmed nothing for .* An alarm is on \("),
        ):
            broker.publish(Queue.ARRIVALS, [make_messages(3)], patience=0.5)


def test_a_batch_is_not_held_for_longer_than_it_may_be(
    private_node: PrivateNode, private_settings: Settings, tmp_path: Path
) -> None:
    stop, observer = Stop(), HoldingObserver()
    with (
        open_broker(private_settings, stop) as broker,
        open_broker(private_settings) as other,
        SqliteStore(tmp_path / "events.db") as store,
    ):
        broker.publish(Queue.ARRIVALS, [make_messages(5)])  # none of which is valid
        consuming = threading.Thread(
            target=consume,
            args=(broker, store, Validator(load_schema()), stop),
            kwargs={"hold": 0.5, "observer": observer},
        )
        with memory_alarm(private_node):
            consuming.start()
            assert observer.held.wait(PATIENCE)
            wait_until(
                lambda: (depth := other.depth(Queue.ARRIVALS)).holders == 0 and depth.ready == 5
            )
        wait_until(lambda: other.depth(Queue.ARRIVALS).ready == 0)
        stop.request()
        consuming.join()
        assert set(ids(in_queue(other, Queue.REJECTS))) == set(ids(make_messages(5)))
        assert in_queue(other, Queue.ARRIVALS) == []


def test_a_replay_ends_and_leaves_its_rejects_where_they_are(
    private_node: PrivateNode,
    private_settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(replay_rejects, "PATIENCE", 0.5)
    with open_broker(private_settings) as broker:
        broker.publish(Queue.REJECTS, [make_messages(5)])
        rejects = QueuedRejects(broker, Validator(load_schema()), Stop())
        rules = replay_rejects.Rules(Validator(load_schema()), RejectFilter(), even_invalid=True)
        with memory_alarm(private_node), rejects:
            receipt = replay_rejects.replay(rejects, broker, rules, Run(Stop()))
        assert isinstance(receipt.error, BrokerUnreachable)
        assert receipt.failed.total() == 5
        assert ids(in_queue(broker, Queue.REJECTS)) == ids(make_messages(5))
