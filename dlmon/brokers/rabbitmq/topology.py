"""The exchange and the two queues: what they are declared with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dlmon.brokers.base import DELIVERY_LIMIT
from dlmon.messages import ROUTING_KEYS, Queue

NO_DELIVERY_LIMIT = 2**31 - 1
"""RabbitMQ 4 sets a limit of 20 where none is declared, and 3.10 takes -1 for one that is reached
at once: a number that is never reached means the same to both."""


def queue_name(namespace: str, queue: Queue) -> str:
    return f"{namespace}.{queue}"


def queue_arguments(namespace: str, queue: Queue) -> dict[str, str | int]:
    """What a queue is declared with."""
    if queue is Queue.REJECTS:
        return {"x-queue-type": "quorum", "x-delivery-limit": NO_DELIVERY_LIMIT}
    return {
        "x-queue-type": "quorum",
        "x-delivery-limit": DELIVERY_LIMIT,
        "x-dead-letter-exchange": namespace,
        "x-dead-letter-routing-key": ROUTING_KEYS[Queue.REJECTS],
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",  # the other kind could drop what is dead-lettered
    }


def declare(channel: Any, namespace: str, on_done: Callable[[object], None]) -> None:
    """Create what is missing. The broker closes the channel where something exists with other
    arguments."""
    channel.exchange_declare(namespace, "topic", durable=True)
    for queue, routing_key in ROUTING_KEYS.items():
        name = queue_name(namespace, queue)
        channel.queue_declare(name, durable=True, arguments=queue_arguments(namespace, queue))
        last = on_done if queue is Queue.REJECTS else None
        channel.queue_bind(name, namespace, routing_key, callback=last)


def check(channel: Any, namespace: str, on_done: Callable[[object], None]) -> None:
    """Create nothing. The broker closes the channel where something is missing."""
    for queue in Queue:
        last = on_done if queue is Queue.REJECTS else None
        channel.queue_declare(queue_name(namespace, queue), passive=True, callback=last)
