"""Messages to test brokers with."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from dlmon.brokers.base import Broker, Consumer
from dlmon.messages import Delivery, Message, Queue

PATIENCE = 60.0
"""Seconds after which something that should happen at once has not, however busy the machine."""


def make_messages(count: int) -> list[Message]:
    """Messages with an id and a body of their own."""
    return [
        Message(b'{"number": %d}' % number, f"message-{number:06}", {"number": number})
        for number in range(count)
    ]


def ids(messages: Sequence[Message] | Sequence[Delivery]) -> list[str]:
    """The message ids, sorted: neither broker promises an order."""
    return sorted(message.message_id or "" for message in messages)


def receive(consumer: Consumer, count: int) -> list[Delivery]:
    """Exactly so many deliveries, as soon as they are there."""
    deliveries: list[Delivery] = []
    deadline = time.monotonic() + PATIENCE
    while len(deliveries) < count:
        assert time.monotonic() < deadline, f"only {len(deliveries)} of {count} were delivered"
        deliveries += consumer.receive(count - len(deliveries), 1.0)
    return deliveries


def in_queue(broker: Broker, queue: Queue) -> list[Delivery]:
    """What can be seen in a queue now."""
    with broker.open_reader(queue) as reader:
        deliveries: list[Delivery] = []
        while more := reader.read(1_000):
            deliveries += more
        return deliveries


def wait_until(
    condition: Callable[[], bool], patience: float = PATIENCE, story: Callable[[], str] = str
) -> None:
    """Return as soon as something is so; fail where it does not become so.

    story: what else to tell then.
    """
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"this did not happen in time {story()}"
        time.sleep(0.02)
