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
        return {
            "x-queue-type": "quorum",
            "x-delivery-limit": NO_DELIVERY_LIMIT,
            # A policy with a max-length, meant for other queues, would drop the oldest ones.
            "x-overflow": "reject-publish",
        }
    return {
        "x-queue-type": "quorum",
        "x-delivery-limit": DELIVERY_LIMIT,
        "x-dead-letter-exchange": namespace,
        "x-dead-letter-routing-key": ROUTING_KEYS[Queue.REJECTS],
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",  # the other kind could drop what is dead-lettered
    }


def older_queue_arguments(namespace: str, queue: Queue) -> dict[str, str | int]:
    """What the first releases declared a queue with: such a queue is used as it is."""
    arguments = queue_arguments(namespace, queue)
    if queue is Queue.REJECTS:
        del arguments["x-overflow"]
    return arguments


def is_older(text: str, namespace: str) -> bool:
    """Whether RabbitMQ says this about a queue that an early release declared."""
    name = queue_name(namespace, Queue.REJECTS)
    return f"'x-overflow' for queue '{name}'" in text and "current is none" in text


def declare(
    channel: Any, namespace: str, on_done: Callable[[object], None], *, older: bool = False
) -> None:
    """Create what is missing. The broker closes the channel where something exists with other
    arguments.

    older: with the arguments of the first releases.
    """
    arguments = older_queue_arguments if older else queue_arguments
    channel.exchange_declare(namespace, "topic", durable=True)
    for queue, routing_key in ROUTING_KEYS.items():
        name = queue_name(namespace, queue)
        channel.queue_declare(name, durable=True, arguments=arguments(namespace, queue))
        last = on_done if queue is Queue.REJECTS else None
        channel.queue_bind(name, namespace, routing_key, callback=last)


def check(channel: Any, namespace: str, on_done: Callable[[object], None]) -> None:
    """Create nothing. The broker closes the channel where something is missing."""
    for queue in Queue:
        last = on_done if queue is Queue.REJECTS else None
        channel.queue_declare(queue_name(namespace, queue), passive=True, callback=last)
