"""Events to test with."""

from __future__ import annotations

import uuid
from typing import Any

import orjson

from dlmon.stores.base import Entry


def make_event(**changes: Any) -> dict[str, Any]:
    """A valid event with an id of its own, less or more what is changed."""
    return {
        "event_id": str(uuid.uuid4()),
        "timestamp": "2026-03-01T12:00:00Z",
        "coordinates": {"latitude": 51.935739, "longitude": -8.38847},
        "file_size": 1_596_500,
        "download_speed": 12.772,
        **changes,
    }


def make_body(**changes: Any) -> bytes:
    """The bytes of `make_event`."""
    return orjson.dumps(make_event(**changes))


def make_entry(body: bytes) -> Entry:
    """A body as it goes into a store."""
    event = orjson.loads(body)
    return Entry(str(event["event_id"]) if "event_id" in event else "", body, event)
