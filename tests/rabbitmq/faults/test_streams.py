"""A broker that fails while events are published to a stream: what was confirmed is kept."""

from __future__ import annotations

import pytest

from dlmon.messages import Queue
from tests.rabbitmq.faults.conftest import LOST
from tests.rabbitmq.faults.test_broker import Fault, close_connections, crash, freeze, shutdown
from tests.support.alarms import disk_alarm
from tests.support.amqp import stream_ids
from tests.support.ledger import read_ledger
from tests.support.node import PrivateNode
from tests.support.pipeline import Pipeline, eventually

MORE = 300
"""Events that are confirmed after a fault, by a producer that has recovered."""


@pytest.mark.parametrize("fault", [crash, shutdown, freeze, close_connections, disk_alarm])
def test_every_confirmed_event_is_in_the_stream_after(
    private_node: PrivateNode, pipeline: Pipeline, fault: Fault
) -> None:
    pipeline.dlmon.environment["DLMON_ARRIVALS_TYPE"] = "stream"
    producer = pipeline.produce("--rate", "1000")
    eventually(lambda: pipeline.confirmed > MORE, story=lambda: pipeline.story)
    with fault(private_node):
        # Until it has noticed.
        producer.says("takes no messages now" if fault is disk_alarm else LOST)
    before = pipeline.confirmed
    eventually(lambda: pipeline.confirmed > before + MORE, story=lambda: pipeline.story)
    assert producer.stop() == 0, producer.said
    _, confirmed = read_ledger(pipeline.ledger)
    assert len(confirmed) > 2 * MORE
    kept = stream_ids(private_node.url, f"{pipeline.namespace}.{Queue.ARRIVALS}", confirmed)
    assert confirmed.keys() - set(kept) == set()
