"""Queues that are streams: they keep no record of what was acknowledged, so that dlmon cannot use
them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from dlmon.brokers.rabbitmq.connection import Connection
from dlmon.brokers.rabbitmq.deliveries import Received
from dlmon.errors import BrokerRefused, TopologyMismatch

_OFFSET = "x-stream-offset"
"""The header that RabbitMQ gives to what it delivers from a stream."""

_INEQUIVALENT = re.compile(
    r"inequivalent arg '(?P<name>[^']*)' for queue .*"
    r"current is (?:none|(?:the value )?'(?P<value>[^']*)'(?: of type '(?P<type>[^']*)')?)"
)
_STREAM = (
    "The queue {} is a stream, which keeps no record of what was acknowledged. Delete it if it is "
    "not needed, or choose another --namespace: dlmon consumes from a quorum queue or a classic "
    "one. `produce` can publish to a stream with --arrivals-type stream."
)


def refuse_stream(connection: Connection, queue: str, timeout: float | None = None) -> None:
    """Raise TopologyMismatch for a queue that is a stream, as far as this user may know."""
    if queue_type(connection, queue, timeout) == "stream":
        raise TopologyMismatch(_STREAM.format(queue))


def queue_type(connection: Connection, queue: str, timeout: float | None = None) -> str | None:
    """`quorum`, `classic` or `stream`; None where this user may not know.

    A queue that exists is declared again as a quorum queue. RabbitMQ changes nothing, and names one
    argument that differs; one that is not the type is taken over, and asked again.
    """
    arguments: dict[str, str | int | bool] = {"x-queue-type": "quorum"}

    def declare(channel: Any, answer: Future[None]) -> None:
        channel.queue_declare(
            queue, durable=True, arguments=arguments, callback=lambda _: answer.set_result(None)
        )

    while True:
        try:
            connection.call(declare, timeout)
        except BrokerRefused:
            return None  # without permission to configure; what is delivered will show it
        except TopologyMismatch as error:
            found = _INEQUIVALENT.search(str(error))
            if found is None:
                return None
            if found["name"] == "x-queue-type":
                return found["value"] or "classic"
            value = _read_argument(found["value"] or "", found["type"])
            if found["name"] in ("durable", "auto_delete"):
                return "classic"  # only such a queue can differ in these
            if value is None or found["name"] in arguments:
                return None
            arguments[found["name"]] = value
        else:
            return "quorum"


def _read_argument(text: str, kind: str | None) -> str | int | bool | None:
    """An argument from its text, and its type in AMQP.

    None for what cannot be asked for: `durable` and `auto_delete`, which have no type and are the
    same for all streams, and what is no text, truth value or whole number.
    """
    if kind == "longstr":
        return text
    if kind == "bool":
        return text == "true"
    return int(text) if kind is not None and text.removeprefix("-").isdecimal() else None


def refuse_from_stream(received: Sequence[Received], queue: str) -> None:
    """Raise TopologyMismatch for deliveries of a stream."""
    if received and _OFFSET in received[0][1].headers:
        raise TopologyMismatch(_STREAM.format(queue))
