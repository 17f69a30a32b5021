"""The event's fields, and how an event is identified."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, TypeAlias

Event: TypeAlias = Mapping[str, Any]
"""One download, as parsed from JSON; `schemas/download_event.schema.json` describes it."""

EVENT_ID = "event_id"
TIMESTAMP = "timestamp"
COORDINATES = "coordinates"
LATITUDE = "latitude"
LONGITUDE = "longitude"
FILE_SIZE = "file_size"
DOWNLOAD_SPEED = "download_speed"

MAX_EVENT_BYTES = 64 * 1024
"""Default size limit of one event. Real events have some 200 bytes."""

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""Default size limit of a message with several events, unpacked. RabbitMQ 4 takes no larger ones
unless it is told to."""

MAX_MESSAGE_ID = 255
"""Bytes of a message id: AMQP 0-9-1 carries it as a short string."""


def event_id_of(value: object) -> str | None:
    """The id in a parsed body, or None when there is none that could identify a message."""
    if isinstance(value, dict):
        event_id = value.get(EVENT_ID)
        if isinstance(event_id, str) and 0 < len(event_id.encode()) <= MAX_MESSAGE_ID:
            return event_id
    return None


def normalize_id(event_id: str) -> str:
    """What ids are compared by: RFC 9562 section 4 compares UUIDs without regard to case."""
    return event_id.lower()


def identify(body: bytes) -> str:
    """A message id for a body: the id that it has as JSON, else one of its bytes."""
    import orjson

    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = None
    return event_id_of(value) or id_from_body(body)


def id_from_body(body: bytes) -> str:
    """A message id for a body that carries none: the same bytes always get the same one."""
    return f"sha256:{hashlib.sha256(body).hexdigest()[:32]}"
