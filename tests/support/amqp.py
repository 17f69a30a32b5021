"""RabbitMQ as any other client uses it: what dlmon does is checked by somebody else."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pika

Fields = Mapping[bytes, bytes]
"""A header table on the wire: names, and values with their type in front."""


@contextmanager
def raw_channel(url: str) -> Iterator[Any]:
    """A plain pika channel with publisher confirms."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    try:
        channel = connection.channel()
        channel.confirm_delivery()
        yield channel
    finally:
        if connection.is_open:
            connection.close()


def stream_ids(url: str, stream: str, wanted: Collection[str], patience: float = 60.0) -> list[str]:
    """The message ids in a stream, from its first message on, until all that are wanted were there.

    patience: seconds without a message after which there are no more.
    """
    missing, found = {*wanted}, []
    with raw_channel(url) as channel:
        channel.basic_qos(prefetch_count=1_000)
        messages = channel.consume(
            stream, arguments={"x-stream-offset": "first"}, inactivity_timeout=patience
        )
        while missing:
            method, properties, _ = next(messages)
            if method is None:
                break
            channel.basic_ack(method.delivery_tag)
            found.append(properties.message_id)
            missing.discard(properties.message_id)
    return found


def delete_namespace(url: str, namespace: str) -> None:
    """Remove everything that a test declared."""
    with raw_channel(url) as channel:
        for queue in ("arrivals", "rejects"):
            channel.queue_delete(f"{namespace}.{queue}")
        channel.exchange_delete(namespace)


def reachable(url: str) -> bool:
    """Whether a RabbitMQ answers there and lets us in."""
    try:
        with raw_channel(url):
            return True
    except (pika.exceptions.AMQPError, OSError):
        return False


class RawProperties(pika.BasicProperties):  # type: ignore[misc]  # pika ships no types
    """Properties whose header table is written as it is given, however odd."""

    def __init__(self, fields: Fields, **properties: Any) -> None:
        super().__init__(headers={}, **properties)
        self._fields = fields

    def encode(self) -> list[bytes]:
        pieces: list[bytes] = super().encode()
        pieces[pieces.index(struct.pack(">I", 0))] = field_table(self._fields)
        return pieces


def field_table(fields: Fields) -> bytes:
    """A table, without the type in front (AMQP 0-9-1 section 4.2.5.5)."""
    table = b"".join(bytes([len(name)]) + name + value for name, value in fields.items())
    return struct.pack(">I", len(table)) + table


def text(value: bytes) -> bytes:
    """A long string, which need not be UTF-8."""
    return b"S" + struct.pack(">I", len(value)) + value


def timestamp(seconds: int) -> bytes:
    """A time, as seconds since the epoch."""
    return b"T" + struct.pack(">Q", seconds)


def nested_lists(depth: int) -> bytes:
    """A list in a list in a list, and so on."""
    value = b""
    for _ in range(depth):
        value = b"A" + struct.pack(">I", len(value)) + value
    return value
