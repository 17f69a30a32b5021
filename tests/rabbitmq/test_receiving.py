from __future__ import annotations

from pathlib import Path

from dlmon.brokers import open_broker
from dlmon.brokers.base import Consumer
from dlmon.brokers.rabbitmq.window import HELD_BYTES
from dlmon.config.settings import Settings
from dlmon.messages import Delivery, Message, Queue
from tests.conftest import settings_for
from tests.support.messages import in_queue, make_messages, receive, wait_until
from tests.support.node import PrivateNode
from tests.support.proxy import Proxy


def test_receiving_only_so_many_over_a_slow_link_has_none_handed_out_twice(
    private_node: PrivateNode, private_settings: Settings, tmp_path: Path
) -> None:
    namespace = private_settings.namespace
    with Proxy(private_node.port) as proxy, open_broker(private_settings) as broker:
        broker.publish(Queue.ARRIVALS, [make_messages(400)])
        url = proxy.url(private_node.url)
        proxy.slow_down(97, 0.001)
        deliveries: list[Delivery] = []
        with (
            open_broker(settings_for(url, namespace, tmp_path)) as slow,
            slow.open_consumer(500, 350) as consumer,
        ):
            while len(deliveries) < 350:
                batch = consumer.receive(100, 5.0)
                consumer.acknowledge(batch)
                deliveries += batch
        wait_until(lambda: broker.depth(Queue.ARRIVALS).ready == 50)
        deliveries += in_queue(broker, Queue.ARRIVALS)
    assert {delivery.message_id for delivery in deliveries} == {
        message.message_id for message in make_messages(400)
    }
    assert {delivery.delivery_count for delivery in deliveries} == {0}


def test_large_messages_are_held_by_their_bytes(rabbitmq_settings: Settings) -> None:
    with open_broker(rabbitmq_settings) as broker:
        broker.publish(Queue.ARRIVALS, [_large(100)])
        with broker.open_consumer(4_000) as consumer:
            held = _all_that_come(consumer)
            assert len(held) == HELD_BYTES // _MIB
            seen = list(held)
            consumer.acknowledge(held)
            while len(seen) < 100:
                some = receive(consumer, 1)
                consumer.acknowledge(some)
                seen += some
    assert {delivery.delivery_count for delivery in seen} == {0}


def test_large_messages_after_small_ones_are_given_back_and_come_again(
    rabbitmq_settings: Settings,
) -> None:
    with open_broker(rabbitmq_settings) as broker:
        broker.publish(Queue.ARRIVALS, [make_messages(50), _large(150)])
        seen: dict[str | None, int] = {}
        most = 0
        with broker.open_consumer(4_000) as consumer:
            while len(seen) < 200:
                held = _all_that_come(consumer)
                most = max(most, sum(len(delivery.body) for delivery in held))
                for delivery in held:
                    seen[delivery.message_id] = delivery.delivery_count
                consumer.acknowledge(held)
        assert in_queue(broker, Queue.ARRIVALS) == []
    assert most <= 2 * HELD_BYTES + _MIB
    assert max(seen.values()) == 1  # without a limit by bytes, none would have been given back


_MIB = 1024 * 1024


def _large(count: int) -> list[Message]:
    return [Message(b"x" * _MIB, f"large-{number}") for number in range(count)]


def _all_that_come(consumer: Consumer) -> list[Delivery]:
    """What is handed out while nothing is acknowledged."""
    deliveries: list[Delivery] = []
    while some := consumer.receive(4_000, 1.0):
        deliveries += some
    return deliveries
