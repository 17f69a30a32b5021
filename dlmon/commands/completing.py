"""What an event lacks for a store: an id where the schema asks for none, and an offset."""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

from dlmon.event import EVENT_ID, TIMESTAMP
from dlmon.validation.offsets import with_offset

NAMESPACE = uuid.UUID("5d2e4fc2-6a0c-5b60-9d0a-0f1d4c7f3a51")
"""What ids of bodies are made in (RFC 9562 section 5.5). It never changes: the same bytes get the
same id in every release."""


def id_of_body(body: bytes) -> str:
    """The id of an event that has none: the UUID of version 5 of its bytes."""
    digest = hashlib.sha1(NAMESPACE.bytes + body, usedforsecurity=False).digest()
    return str(uuid.UUID(bytes=digest[:16], version=5))


def complete(event: Any, body: bytes, offset: str | None) -> None:
    """Give a valid event what it lacks for a store. Its body stays as it came.

    offset: what is assumed for a time that has none; None to assume nothing.
    """
    if type(event) is not dict:
        return
    if EVENT_ID not in event:
        event[EVENT_ID] = id_of_body(body)
    if offset is not None and type(time := event.get(TIMESTAMP)) is str:
        event[TIMESTAMP] = with_offset(time, offset)
