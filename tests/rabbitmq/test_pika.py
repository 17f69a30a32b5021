"""That dlmon uses pika without changing it for other code of the process."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pika
import pytest

from dlmon.brokers import open_broker
from dlmon.config.settings import Settings
from dlmon.messages import Delivery, Message, Queue
from tests.support.amqp import raw_channel
from tests.support.messages import in_queue, make_messages, receive

_IMPORT = """
import logging, pika
before = dict(pika.spec.props), dict(pika.spec.methods), logging.getLogger("pika").level
import dlmon.brokers.rabbitmq
assert before == (pika.spec.props, pika.spec.methods, logging.getLogger("pika").level)
"""


def test_importing_it_changes_nothing_in_pika_and_silences_no_logger() -> None:
    subprocess.run([sys.executable, "-c", _IMPORT], check=True)


def test_using_it_changes_nothing_for_another_user_of_pika(
    rabbitmq_settings: Settings, rabbitmq_url: str, namespace: str
) -> None:
    before = dict(pika.spec.props), dict(pika.spec.methods)
    with open_broker(rabbitmq_settings) as broker:
        broker.publish(Queue.ARRIVALS, [make_messages(10)])
        with broker.open_consumer(4) as consumer:
            receive(consumer, 4)
            with raw_channel(rabbitmq_url) as channel:
                method, properties, _ = channel.basic_get(f"{namespace}.arrivals")
    assert (pika.spec.props, pika.spec.methods) == before
    assert type(method) is pika.spec.Basic.GetOk
    assert type(properties) is pika.BasicProperties
    assert type(properties.headers) is dict


@pytest.mark.parametrize(
    ("queue", "headers"),
    [
        (Queue.ARRIVALS, {"number": 1, "text": "x"}),
        (Queue.REJECTS, {"number": 1, "text": "x"}),
        (Queue.ARRIVALS, {}),
    ],
)
def test_headers_of_one_delivery_cannot_be_changed_by_way_of_another(
    rabbitmq_settings: Settings, queue: Queue, headers: dict[str, Any]
) -> None:
    with open_broker(rabbitmq_settings) as broker:
        broker.publish(queue, [[Message(b"{}", str(number), headers) for number in range(3)]])
        deliveries = in_queue(broker, queue)
    assert [delivery.headers for delivery in deliveries] == [headers] * 3
    for delivery in deliveries:
        with pytest.raises(TypeError):
            delivery.headers["number"] = 99  # type: ignore[index]
    assert [delivery.headers for delivery in deliveries] == [headers] * 3


def test_a_value_that_can_be_changed_belongs_to_one_delivery_only(
    rabbitmq_settings: Settings, rabbitmq_url: str, namespace: str
) -> None:
    nested = {"list": [1], "table": {"a": [2]}}
    with open_broker(rabbitmq_settings) as broker:
        with raw_channel(rabbitmq_url) as channel:
            for number in range(3):
                properties = pika.BasicProperties(
                    "application/json", headers=nested, delivery_mode=2, message_id=str(number)
                )
                channel.basic_publish(namespace, "download.rejected", b"{}", properties)
        deliveries: list[Any] = in_queue(broker, Queue.REJECTS)
    first: Delivery = deliveries[0]
    first.headers["list"].append(99)  # type: ignore[attr-defined]
    first.headers["table"]["a"].append(99)  # type: ignore[index]
    assert [delivery.headers for delivery in deliveries[1:]] == [nested] * 2
