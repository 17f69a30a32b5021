"""What receiving and acknowledging promise, over both brokers."""

from __future__ import annotations

import threading
import time

import pytest

from dlmon.brokers import open_broker
from dlmon.brokers.base import DELIVERY_LIMIT, Broker, Consumer
from dlmon.config.settings import Settings
from dlmon.messages import DeadLetter, Delivery, Queue
from dlmon.runtime.stop import Stop
from tests.support.hold import holder
from tests.support.messages import PATIENCE, ids, in_queue, make_messages, receive, wait_until


def test_what_is_acknowledged_is_gone(broker: Broker) -> None:
    broker.publish(Queue.ARRIVALS, [make_messages(3)])
    with broker.open_consumer(10) as consumer:
        deliveries = receive(consumer, 3)
        consumer.acknowledge(deliveries)
    assert ids(deliveries) == ids(make_messages(3))
    assert in_queue(broker, Queue.ARRIVALS) == []


def test_what_is_not_acknowledged_is_delivered_again_and_counted(broker: Broker) -> None:
    broker.publish(Queue.ARRIVALS, [make_messages(3)])
    with broker.open_consumer(10) as consumer:
        acknowledged, *returned = receive(consumer, 3)
        consumer.acknowledge([acknowledged])
    with broker.open_consumer(10) as consumer:
        again = receive(consumer, 2)
    assert ids(again) == ids(returned)
    assert [delivery.delivery_count for delivery in again] == [1, 1]
    assert sorted(delivery.body for delivery in again) == sorted(d.body for d in returned)


def test_what_a_killed_process_held_is_delivered_again_and_counted(
    settings: Settings, broker: Broker
) -> None:
    broker.publish(Queue.ARRIVALS, [make_messages(3)])
    with (
        holder(settings, Queue.ARRIVALS, 3) as process,
        broker.open_consumer(10) as consumer,
    ):
        assert consumer.receive(10, 0.5) == []
        process.kill()
        again = receive(consumer, 3)
    assert ids(again) == ids(make_messages(3))
    assert {delivery.delivery_count for delivery in again} == {1}


def test_a_large_batch_arrives_once_each_in_pieces_of_the_limit(broker: Broker) -> None:
    published = make_messages(5_000)
    broker.publish(Queue.ARRIVALS, [published])
    received: list[Delivery] = []
    with broker.open_consumer(1_000) as consumer:
        while batch := consumer.receive(500, 1.0):
            assert len(batch) <= 500
            consumer.acknowledge(batch)
            received += batch
    assert ids(received) == ids(published)


def test_a_batch_comes_soon_after_its_first_message_also_when_it_is_not_full(
    broker: Broker,
) -> None:
    with broker.open_consumer(1_000) as consumer:
        publishing = threading.Timer(0.2, broker.publish, (Queue.ARRIVALS, [make_messages(1)]))
        publishing.start()
        started = time.monotonic()
        assert len(consumer.receive(500, 2 * PATIENCE)) == 1
        assert time.monotonic() - started < PATIENCE
        publishing.join()


def test_idle_means_none_after_the_timeout(broker: Broker) -> None:
    with broker.open_consumer(10) as consumer:
        started = time.monotonic()
        assert consumer.receive(10, 0.3) == []
        assert 0.25 < time.monotonic() - started < PATIENCE


def test_a_stop_ends_a_wait(settings: Settings) -> None:
    stop = Stop()
    with open_broker(settings, stop) as broker, broker.open_consumer(10) as consumer:
        asking = threading.Timer(0.2, stop.request)
        asking.start()
        started = time.monotonic()
        assert consumer.receive(10, 2 * PATIENCE) == []
        assert time.monotonic() - started < PATIENCE
        asking.join()


def test_after_a_stop_what_is_in_hand_can_be_acknowledged_and_nothing_more_comes(
    settings: Settings,
) -> None:
    stop = Stop()
    with open_broker(settings, stop) as broker:
        broker.publish(Queue.ARRIVALS, [make_messages(10)])
        with broker.open_consumer(10) as consumer:
            deliveries = receive(consumer, 4)
            stop.request()
            assert consumer.receive(10, 30) == []
            consumer.acknowledge(deliveries)
    with open_broker(settings) as broker:
        left = {message.message_id for message in make_messages(10)}
        left -= {delivery.message_id for delivery in deliveries}
        assert set(ids(in_queue(broker, Queue.ARRIVALS))) == left


def test_count_is_never_exceeded(broker: Broker) -> None:
    broker.publish(Queue.ARRIVALS, [make_messages(20)])
    with broker.open_consumer(10, count=7) as consumer:
        deliveries = receive(consumer, 7)
        assert consumer.receive(10, 0.3) == []
        wait_until(lambda: broker.depth(Queue.ARRIVALS).ready == 13)
        consumer.acknowledge(deliveries)
        assert consumer.receive(10, 0.3) == []
    wait_until(lambda: broker.depth(Queue.ARRIVALS).ready == 13)


def test_no_more_than_prefetch_is_handed_out_unacknowledged(broker: Broker) -> None:
    broker.publish(Queue.ARRIVALS, [make_messages(20)])
    with broker.open_consumer(5) as consumer:
        held = receive(consumer, 5)
        assert consumer.receive(10, 0.3) == []
        consumer.acknowledge(held[:2])
        assert len(receive(consumer, 2)) == 2
        assert consumer.receive(10, 0.3) == []


def test_two_consumers_share_and_never_overlap(settings: Settings, broker: Broker) -> None:
    published = make_messages(1_000)
    with (
        open_broker(settings) as other,
        broker.open_consumer(100) as one,
        other.open_consumer(100) as two,
    ):
        broker.publish(Queue.ARRIVALS, [published])
        shares: dict[Consumer, list[Delivery]] = {one: receive(one, 50), two: receive(two, 50)}
        for consumer, share in shares.items():
            consumer.acknowledge(share)
            while batch := consumer.receive(50, 0.5):
                consumer.acknowledge(batch)
                share.extend(batch)
    assert ids(shares[one] + shares[two]) == ids(published)


def test_a_message_that_always_comes_back_is_dead_lettered_and_says_so(
    broker: Broker, namespace: str
) -> None:
    [poison] = make_messages(1)
    broker.publish(Queue.ARRIVALS, [[poison]])
    for count in range(DELIVERY_LIMIT + 1):
        with broker.open_consumer(1) as consumer:
            [delivery] = receive(consumer, 1)
            assert delivery.delivery_count == count
    wait_until(lambda: broker.depth(Queue.REJECTS).ready == 1)
    with broker.open_consumer(1) as consumer:
        assert consumer.receive(1, 0.3) == []
    [dead] = in_queue(broker, Queue.REJECTS)
    assert (dead.body, dead.message_id) == (poison.body, poison.message_id)
    assert dead.headers["number"] == poison.headers["number"]
    assert (dead.exchange, dead.routing_key) == (namespace, "download.rejected")
    assert isinstance(dead.dead_letter, DeadLetter)
    assert dead.dead_letter.queue == f"{namespace}.arrivals"
    assert dead.dead_letter.reason == "delivery_limit"
    assert dead.dead_letter.at is not None
    assert abs(dead.dead_letter.at / 1000 - time.time()) < 60


def test_a_delivery_of_a_closed_consumer_settles_nobody_elses(broker: Broker) -> None:
    broker.publish(Queue.ARRIVALS, [make_messages(1)])
    with broker.open_consumer(1) as consumer:
        stale = receive(consumer, 1)
    with broker.open_consumer(1) as consumer:
        assert ids(receive(consumer, 1)) == ids(stale)
        consumer.acknowledge(stale)
    assert ids(in_queue(broker, Queue.ARRIVALS)) == ids(stale)


def test_acknowledging_twice_does_nothing_more(broker: Broker) -> None:
    broker.publish(Queue.ARRIVALS, [make_messages(4)])
    with broker.open_consumer(2) as consumer:
        first = receive(consumer, 2)
        consumer.acknowledge(first)
        second = receive(consumer, 2)
        consumer.acknowledge(first)
        assert consumer.receive(1, 0.3) == []
        consumer.acknowledge([])
    assert ids(in_queue(broker, Queue.ARRIVALS)) == ids(second)


@pytest.mark.parametrize("queue", list(Queue))
def test_depth_tells_what_is_ready_and_what_is_held(broker: Broker, queue: Queue) -> None:
    assert broker.depth(queue).ready == 0
    broker.publish(queue, [make_messages(5)])
    wait_until(lambda: broker.depth(queue).ready == 5)
    with broker.open_reader(queue) as reader:
        deliveries = reader.read(5)
        assert len(deliveries) == 5
        assert broker.depth(queue).ready == 0
        assert broker.depth(queue).held in (5, None)
        reader.acknowledge(deliveries[:2])
        wait_until(lambda: broker.depth(queue).held in (3, None))
    wait_until(lambda: broker.depth(queue).ready == 3)
    assert broker.depth(queue).held in (0, None)
