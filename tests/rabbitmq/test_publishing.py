"""Publishing that RabbitMQ does not take: no queue, or a full one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from dlmon.brokers import open_broker
from dlmon.brokers.base import Broker
from dlmon.brokers.rabbitmq import publisher
from dlmon.config.settings import Settings
from dlmon.errors import PublishRefused
from dlmon.messages import Message, Queue
from tests.support.amqp import raw_channel
from tests.support.messages import ids, in_queue, make_messages, wait_until
from tests.support.node import PrivateNode


@pytest.fixture
def broker(private_settings: Settings) -> Iterator[Broker]:
    with open_broker(private_settings) as broker:
        yield broker


def test_what_no_queue_is_bound_for_is_refused_and_can_be_published_again(
    broker: Broker, private_node: PrivateNode, private_settings: Settings
) -> None:
    namespace = private_settings.namespace
    published = make_messages(300)
    broker.publish(Queue.ARRIVALS, [])  # it has connected, and declared what there is
    with raw_channel(private_node.url) as channel:
        channel.queue_unbind(f"{namespace}.arrivals", namespace, "download.completed")
    with pytest.raises(PublishRefused, match=r"no queue is bound .* Bind both queues") as caught:
        broker.publish(Queue.ARRIVALS, [published])
    assert ids(caught.value.messages) == ids(published)
    # With the next connection what is missing was declared again.
    assert broker.publish(Queue.ARRIVALS, [caught.value.messages]) == 300
    assert ids(in_queue(broker, Queue.ARRIVALS)) == ids(published)


def test_of_equal_messages_each_is_accounted_for(
    broker: Broker, private_node: PrivateNode, private_settings: Settings
) -> None:
    namespace = private_settings.namespace
    broker.publish(Queue.REJECTS, [])
    with raw_channel(private_node.url) as channel:
        channel.queue_unbind(f"{namespace}.rejects", namespace, "download.rejected")
    with pytest.raises(PublishRefused) as caught:
        broker.publish(Queue.REJECTS, [[Message(b"x", "same")] * 3])
    assert len(caught.value.messages) == 3


def test_what_a_full_queue_does_not_take_is_refused_and_the_rest_is_there(
    broker: Broker, private_node: PrivateNode, private_settings: Settings
) -> None:
    queue = f"{private_settings.namespace}.arrivals"
    private_node.ctl("set_policy", "full", f"^{queue}$", '{"max-length": 100}')
    published = make_messages(1_000)
    confirmed: list[Message] = []
    try:
        with pytest.raises(PublishRefused, match="length limit") as caught:
            broker.publish(Queue.ARRIVALS, [published], confirmed=confirmed.extend)
        assert ids([*confirmed, *caught.value.messages]) == ids(published)
        assert ids(in_queue(broker, Queue.ARRIVALS)) == ids(confirmed)
    finally:
        private_node.ctl("clear_policy", "full")


def test_a_queue_that_is_deleted_is_declared_again(
    broker: Broker, private_node: PrivateNode, private_settings: Settings
) -> None:
    with raw_channel(private_node.url) as channel:
        channel.exchange_delete(private_settings.namespace)
        channel.queue_delete(f"{private_settings.namespace}.arrivals")
    published = make_messages(10)
    assert broker.publish(Queue.ARRIVALS, [published]) == 10
    wait_until(lambda: broker.depth(Queue.ARRIVALS).ready == 10)


def test_what_the_broker_never_confirms_is_published_again_on_a_new_connection(
    rabbitmq_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "WARN_EVERY", 0.5)
    on_confirm = publisher.RabbitMQPublisher._on_confirm
    messages = make_messages(50)
    with open_broker(rabbitmq_settings) as broker:

        def forget(one: publisher.RabbitMQPublisher, frame: Any) -> None:
            if broker.reconnects:  # the first connection has no confirms
                on_confirm(one, frame)

        monkeypatch.setattr(publisher.RabbitMQPublisher, "_on_confirm", forget)
        assert broker.publish(Queue.ARRIVALS, [messages]) == 50
        assert broker.reconnects == 1
        assert set(ids(in_queue(broker, Queue.ARRIVALS))) == set(ids(messages))
