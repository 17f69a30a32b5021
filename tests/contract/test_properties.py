"""Which properties of a message go along with it through rejects and back, over both brokers."""

from __future__ import annotations

import json

import pytest

from dlmon.brokers.base import Broker
from dlmon.messages import Delivery, Message, Queue
from dlmon.rejects.export import from_record, to_line
from dlmon.rejects.rejection import Rejection, from_delivery, reject, to_message, to_replay
from dlmon.validation.schema import load_schema
from dlmon.validation.validator import Validator
from dlmon.validation.violations import Violation
from tests.support.messages import in_queue, receive

KEPT = ("content_type", "content_encoding", "correlation_id", "type", "app_id")


def through_rejects(broker: Broker, message: Message) -> tuple[Rejection, Delivery]:
    """What is rejected of a message, and what arrives of it when it is replayed."""
    broker.publish(Queue.ARRIVALS, [[message]])
    with broker.open_consumer(1) as consumer:
        [arrived] = receive(consumer, 1)
        rejection = reject(
            arrived,
            [Violation("required", "", "")],
            message_id="an id",
            schema="",
            rejected_by="",
            rejected_at=0,
        )
        broker.publish(Queue.REJECTS, [[to_message(rejection)]])
        consumer.acknowledge([arrived])
    [rejected] = in_queue(broker, Queue.REJECTS)
    found = from_delivery(rejected, Validator(load_schema()))
    exported = from_record(json.loads(to_line(found)))
    assert exported == found
    broker.publish(Queue.ARRIVALS, [[to_replay(exported)]])
    with broker.open_consumer(1) as consumer:
        [replayed] = receive(consumer, 1)
    return found, replayed


@pytest.mark.parametrize(
    "properties",
    [
        {"content_encoding": "gzip", "content_type": "application/json"},
        {"type": "download", "app_id": "agent 4.2", "correlation_id": "7"},
        {"type": "ü" * 127, "content_encoding": "x" * 255},
        {"app_id": "a", "content_type": None},
    ],
    ids=["encoding", "type and app id", "as long as they may be", "app id alone"],
)
def test_what_describes_a_message_is_kept(broker: Broker, properties: dict[str, str]) -> None:
    message = Message(b"{", "an id", {"own": 1}, **properties)
    rejection, replayed = through_rejects(broker, message)
    for name in KEPT:
        assert getattr(rejection, name) == getattr(message, name)
        assert getattr(replayed, name) == getattr(message, name)
    assert replayed.headers["own"] == 1
