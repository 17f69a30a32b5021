"""RabbitMQ as any other client uses it: what dlmon does is checked by somebody else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pika


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
