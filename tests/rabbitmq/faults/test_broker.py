"""A broker that crashes, restarts, freezes, runs out of memory, or has its connections closed,
while both sides are at work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from tests.rabbitmq.faults.conftest import LOST, Reconciled, both_sides_go_on
from tests.support.alarms import disk_alarm, memory_alarm
from tests.support.node import PrivateNode
from tests.support.pipeline import Pipeline, eventually

BLOCKED = "RabbitMQ takes no messages now"


@contextmanager
def crash(node: PrivateNode) -> Iterator[None]:
    # RabbitMQ 3.10 writes down within some seconds which queues it has: one that was declared right
    # before a crash may come back without a leader, and then takes nothing, for good.
    node.ctl("eval", "[dets:sync(Table) || Table <- dets:all()].")
    node.kill()
    yield
    node.start()


@contextmanager
def shutdown(node: PrivateNode) -> Iterator[None]:
    node.stop()
    yield
    node.start()


@contextmanager
def restart(node: PrivateNode) -> Iterator[None]:
    node.ctl("stop_app")
    yield
    node.ctl("start_app")


@contextmanager
def freeze(node: PrivateNode) -> Iterator[None]:
    node.freeze()
    yield
    node.thaw()


@contextmanager
def close_connections(node: PrivateNode) -> Iterator[None]:
    node.ctl("close_all_connections", "an operator wants it so")
    yield


Fault = Callable[[PrivateNode], AbstractContextManager[None]]


@pytest.mark.parametrize(
    ("fault", "packed"),
    [(crash, 1), (crash, 100), (shutdown, 1), (restart, 1), (freeze, 1), (close_connections, 1)],
)
def test_both_sides_go_on_after(
    private_node: PrivateNode,
    pipeline: Pipeline,
    reconciled: Reconciled,
    fault: Fault,
    packed: int,
) -> None:
    both_sides_go_on(pipeline, reconciled, fault(private_node), packed)


@pytest.mark.parametrize("alarm", [memory_alarm, disk_alarm])
def test_an_alarm_stops_the_producer_and_not_the_consumer(
    private_node: PrivateNode, pipeline: Pipeline, reconciled: Reconciled, alarm: Fault
) -> None:
    # As fast as it goes, there would be so many by then that storing them takes a minute.
    producer = pipeline.produce("--rate", "2000")
    eventually(lambda: pipeline.confirmed > 2_000)
    with alarm(private_node):
        producer.says(BLOCKED)
        consumer = pipeline.consume()
        # All that arrived before is stored, while the alarm is on.
        eventually(lambda: pipeline.stored >= pipeline.confirmed > 0)
        assert "takes messages again" not in producer.said
    producer.says("takes messages again")
    pipeline.goes_on()
    assert LOST not in producer.said + consumer.said
    assert producer.stop() == 0, producer.said
    assert consumer.stop() == 0, consumer.said
    reconciled(pipeline)


def test_rejects_wait_for_the_end_of_an_alarm(
    private_node: PrivateNode, pipeline: Pipeline, reconciled: Reconciled
) -> None:
    producer = pipeline.produce("--rate", "0", "--count", "3000", "--invalid", "5%")
    assert producer.ends() == 0
    with memory_alarm(private_node):
        consumer = pipeline.consume()
        consumer.says(BLOCKED)
    eventually(lambda: pipeline.stored > 2_000)
    assert consumer.stop() == 0, consumer.said
    reconciled(pipeline)
