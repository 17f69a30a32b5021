"""The exchange and the two queues: what they are declared with."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from dlmon.brokers.base import DELIVERY_LIMIT
from dlmon.config.names import DEFAULT_EXCHANGE, Names
from dlmon.messages import Queue

NO_DELIVERY_LIMIT = 2**31 - 1
"""RabbitMQ 4 sets a limit of 20 where none is declared, and 3.10 takes -1 for one that is reached
at once: a number that is never reached means the same to both."""


STREAM_SEGMENT_BYTES = 100_000_000
"""A stream is deleted in segments: what is older than its age stays as long as the segment is not
full. The default of 500 MB would keep a small fleet's events for years."""


def queue_arguments(
    names: Names, queue: Queue, stream_retention: timedelta | None = None
) -> dict[str, str | int]:
    """What a queue is declared with.

    stream_retention: how long arrivals keep events, where they are a stream.
    """
    if queue is Queue.ARRIVALS and stream_retention is not None:
        return {
            "x-queue-type": "stream",
            "x-max-age": f"{math.ceil(stream_retention.total_seconds())}s",
            "x-stream-max-segment-size-bytes": STREAM_SEGMENT_BYTES,
        }
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
        "x-dead-letter-exchange": names.exchange,
        "x-dead-letter-routing-key": names.routing_key(Queue.REJECTS),
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",  # the other kind could drop what is dead-lettered
    }


def older_queue_arguments(
    names: Names, queue: Queue, stream_retention: timedelta | None = None
) -> dict[str, str | int]:
    """What the first releases declared a queue with: such a queue is used as it is."""
    arguments = queue_arguments(names, queue, stream_retention)
    if queue is Queue.REJECTS:
        del arguments["x-overflow"]
    return arguments


def is_older(text: str, names: Names) -> bool:
    """Whether RabbitMQ says this about a queue that an early release declared."""
    name = names.queue(Queue.REJECTS)
    return f"'x-overflow' for queue '{name}'" in text and "current is none" in text


def declare(
    channel: Any,
    names: Names,
    on_done: Callable[[object], None],
    *,
    stream_retention: timedelta | None = None,
    older: bool = False,
) -> None:
    """Create what is missing. The broker closes the channel where something exists with other
    arguments.

    stream_retention: as for `queue_arguments`. older: with the arguments of the first releases.
    """
    arguments = older_queue_arguments if older else queue_arguments
    # Nothing can be declared or bound there: it routes to each queue by its name.
    binds = names.exchange != DEFAULT_EXCHANGE
    if binds:
        channel.exchange_declare(names.exchange, "topic", durable=True)
    for queue, name in names.queues():
        last = on_done if queue is Queue.REJECTS else None
        channel.queue_declare(
            name,
            durable=True,
            arguments=arguments(names, queue, stream_retention),
            callback=None if binds else last,
        )
        if binds:
            channel.queue_bind(name, names.exchange, names.routing_key(queue), callback=last)


def check(channel: Any, names: Names, on_done: Callable[[object], None]) -> None:
    """Create nothing. The broker closes the channel where something is missing."""
    for queue, name in names.queues():
        last = on_done if queue is Queue.REJECTS else None
        channel.queue_declare(name, passive=True, callback=last)
