"""Packs several events into one message: NDJSON, compressed or not.

An event that could not be told from the others afterwards, by its bytes or by its id, goes into a
message of its own.
"""

from __future__ import annotations

import gzip
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from dlmon.event import MAX_EVENT_BYTES, event_id_of
from dlmon.messages import HeaderValue, Message
from dlmon.sources.base import VALID, PlannedEvent
from dlmon.validation.validator import may_be_too_deep
from dlmon.validation.violations import NOT_JSON, NOT_UTF8, TOO_LARGE

ENCODINGS = ("gzip", "zstd")

_WITHOUT_VALUE = frozenset({TOO_LARGE, NOT_JSON, NOT_UTF8})
"""Verdicts on events in which no one looks for an id."""


@dataclass(slots=True)
class Packer:
    """Gathers events until there are enough of them for a message.

    encoding: one of `ENCODINGS`, None for none.
    """

    events_per_message: int = 1
    encoding: str | None = None
    _gathered: list[PlannedEvent] = field(default_factory=list)
    _packed: dict[int, Sequence[PlannedEvent]] = field(default_factory=dict)  # by id of the message

    def pack(
        self, events: Sequence[PlannedEvent], headers: Mapping[str, HeaderValue], *, last: bool
    ) -> list[Message]:
        """The messages that are full with these events. last: those that are not full, too."""
        if self.events_per_message == 1 and self.encoding is None:
            return [Message(event.body, event.message_id, headers) for event in events]
        messages: list[Message] = []
        for event in events:
            if not _fits_a_line(event):
                messages.append(self._message([event], headers))
                continue
            self._gathered.append(event)
            if len(self._gathered) == self.events_per_message:
                messages.append(self._message(self._gathered, headers))
                self._gathered = []
        if last and self._gathered:
            messages.append(self._message(self._gathered, headers))
            self._gathered = []
        return messages

    def events_of(self, messages: Sequence[Message]) -> Sequence[Message | PlannedEvent]:
        """The events of messages that this has packed and that are confirmed now."""
        if not self._packed:
            return messages
        return [
            event for message in messages for event in self._packed.pop(id(message), (message,))
        ]

    def _message(
        self, events: Sequence[PlannedEvent], headers: Mapping[str, HeaderValue]
    ) -> Message:
        lines = len(events) > 1
        body = b"\n".join(event.body for event in events)
        message = Message(
            body if self.encoding is None else _encode(body, self.encoding),
            events[0].message_id,
            headers,
            "application/x-ndjson" if lines else "application/json",
            content_encoding=self.encoding,
        )
        self._packed[id(message)] = events
        return message


def _fits_a_line(event: PlannedEvent) -> bool:
    """Whether an event is told from its neighbours by its line, and by an id in it."""
    body = event.body
    if b"\n" in body or body.endswith(b"\r") or event.verdict in _WITHOUT_VALUE:
        return False
    if event.verdict == VALID:
        return True
    if len(body) > MAX_EVENT_BYTES or may_be_too_deep(body):
        return False
    try:
        return event_id_of(orjson.loads(body)) == event.message_id
    except orjson.JSONDecodeError:
        return False


def _encode(body: bytes, encoding: str) -> bytes:
    if encoding == "gzip":
        return gzip.compress(body, compresslevel=6, mtime=0)
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd.compress(body)
