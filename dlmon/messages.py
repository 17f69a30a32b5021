"""What travels: messages, deliveries, and the two queues they travel through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

HeaderValue: TypeAlias = str | int | bool
"""What dlmon puts into headers. Foreign messages can carry more: see `Delivery.headers`."""

PUBLISHED_AT = "dlmon-published-at"
"""The header of an event with the time it was published at, in milliseconds since the epoch."""

PACKED_IN = "dlmon-message"
"""The header of a rejected event with the id of the message that it came in, with others."""

PLACE = "dlmon-place"
"""The header of a rejected event with its place in that message, from 1."""


class Queue(StrEnum):
    """The two queues, whatever the broker calls them."""

    ARRIVALS = "arrivals"
    REJECTS = "rejects"


ROUTING_KEYS = {Queue.ARRIVALS: "download.completed", Queue.REJECTS: "download.rejected"}
"""What a message for each queue is published with."""


# Message and Delivery are tuples: one of each is made for every event, and a frozen dataclass takes
# several times as long to make.
class Message(NamedTuple):
    """What is published: always persistent, with nothing in its properties but this."""

    body: bytes
    message_id: str
    headers: Mapping[str, HeaderValue] = MappingProxyType({})
    content_type: str | None = "application/json"
    correlation_id: str | None = None
    content_encoding: str | None = None
    type: str | None = None
    app_id: str | None = None


DEFAULT_FRAME_BYTES = 131_072
"""The largest frame that RabbitMQ agrees to unless configured otherwise."""


def max_properties_bytes(frame_bytes: int) -> int:
    """What the properties of a message, headers included, may have as AMQP encodes them.

    They travel in one frame and cannot be split (AMQP 0-9-1 sections 4.2.3 and 4.2.6): a frame has
    8 bytes of its own, and 12 say class and body size.
    """
    return frame_bytes - 20


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Why the broker itself moved a message here: queue, reason and number of deliveries.

    `at` is in milliseconds since the epoch, None where the broker does not say.
    """

    queue: str
    reason: str
    count: int
    at: int | None = None


class Delivery(NamedTuple):
    """A message handed to this process and not yet acknowledged. Nothing in it can be trusted.

    `headers` are as they came, and read-only: values may be nested, dates or bytes, and names
    anything. `delivery_count` is how often the message was handed out before and came back.
    `undecodable_headers` holds the raw bytes of a header table that could not be decoded
    (`headers` is empty then).
    """

    body: bytes
    message_id: str | None
    headers: Mapping[str, object]
    content_type: str | None
    correlation_id: str | None
    exchange: str
    routing_key: str
    delivery_count: int
    token: object
    """Identifies the delivery for the broker that made it; no one else looks into it."""
    dead_letter: DeadLetter | None = None
    undecodable_headers: bytes | None = None
    content_encoding: str | None = None
    type: str | None = None
    app_id: str | None = None
