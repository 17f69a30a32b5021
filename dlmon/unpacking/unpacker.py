"""What a message holds: one event, as most do, or any number of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dlmon.event import MAX_MESSAGE_BYTES, MAX_MESSAGE_ID, event_id_of, id_from_body
from dlmon.event_files.block import WHITESPACE
from dlmon.messages import PACKED_IN, PLACE, Delivery, HeaderValue
from dlmon.unpacking import cloudevents
from dlmon.unpacking.decoding import decode
from dlmon.unpacking.splitting import (
    Events,
    is_array,
    looks_like_lines,
    split_array,
    split_lines,
)
from dlmon.validation.schema import Schema
from dlmon.validation.violations import NOT_JSON, TOO_LARGE, Violation

_JSON = "application/json"
_NDJSON = frozenset(
    {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/jsonlines"}
)
_USUAL_TYPES = frozenset({None, _JSON})


@dataclass(frozen=True, slots=True)
class Contents:
    """The events of a message that is more than one event as it is.

    bodies: the bytes of each. values: what they are as JSON, where that is known. headers: what
    each of them has in addition to the headers of the message; None where none has any.
    """

    delivery: Delivery
    bodies: Sequence[bytes]
    values: list[Any] | None = None
    headers: Sequence[Mapping[str, HeaderValue]] | None = None

    def delivery_of(self, index: int, value: object = None) -> Delivery:
        """The delivery as if it had brought one of its events alone.

        value: the event as JSON, where it could be parsed.
        """
        whole = self.delivery
        body = self.bodies[index]
        message_id = whole.message_id
        headers = dict(whole.headers)
        if self.headers is not None:
            headers |= self.headers[index]
        if len(self.bodies) > 1:
            packed_in = message_id or id_from_body(whole.body)
            headers |= {PACKED_IN: packed_in, PLACE: index + 1}
            message_id = event_id_of(value) or f"{packed_in}#{index + 1}"
            if len(message_id.encode()) > MAX_MESSAGE_ID:
                message_id = id_from_body(body)
        return whole._replace(
            body=body,
            message_id=message_id,
            headers=headers,
            content_type=_JSON,
            content_encoding=None,
        )


def is_one_event(delivery: Delivery) -> bool:
    """Whether a message is one event as it is, as far as that shows at once.

    It nearly always does, and has to cost next to nothing.
    """
    return (
        delivery.body[:1] == b"{"
        and delivery.content_encoding is None
        and delivery.content_type in _USUAL_TYPES
        and b"\n" not in delivery.body
        and cloudevents.BINARY.isdisjoint(delivery.headers)
    )


class Unpacker:
    """Takes messages apart."""

    def __init__(self, schema: Schema, max_message_bytes: int = MAX_MESSAGE_BYTES) -> None:
        """schema: of the events; one that asks for an array makes an array one event."""
        self._max_bytes = max_message_bytes
        kinds = schema.document.get("type", ()) if isinstance(schema.document, dict) else ()
        self._splits_arrays = "array" not in ([kinds] if isinstance(kinds, str) else kinds)

    def unpack(self, delivery: Delivery) -> Contents | Violation | None:
        """The events of a message, or why it cannot be taken apart.

        None where the message is one event as it is.
        """
        text = decode(delivery.body, delivery.content_encoding, self._max_bytes)
        if isinstance(text, Violation):
            return text
        encoded = text is not None
        text = delivery.body if text is None else text
        kind = (delivery.content_type or "").partition(";")[0].strip().lower()
        if kind in (cloudevents.STRUCTURED, cloudevents.BATCHED):
            return self._unpack_cloudevents(delivery, text, batched=kind == cloudevents.BATCHED)
        events = self._split(kind, text)
        if isinstance(events, Violation):
            return events
        if events is not None:
            return Contents(delivery, *events)
        if not cloudevents.BINARY.isdisjoint(delivery.headers):
            body = cloudevents.complete(text, cloudevents.attributes_of(delivery.headers))
            encoded = encoded or body != text
            text = body
        return Contents(delivery, [text]) if encoded else None

    def _split(self, kind: str, text: bytes) -> Events | Violation | None:
        is_lines = kind in _NDJSON or (
            text.lstrip(WHITESPACE).startswith(b"{") and looks_like_lines(text)
        )
        if not is_lines and not (self._splits_arrays and is_array(text)):
            return None
        if len(text) > self._max_bytes:
            reason = f"{len(text)} bytes are more than the limit of {self._max_bytes}"
            return Violation(TOO_LARGE, "", reason)
        return split_lines(text) if is_lines else split_array(text)

    def _unpack_cloudevents(
        self, delivery: Delivery, text: bytes, *, batched: bool
    ) -> Contents | Violation:
        events: Events | Violation = Events([text])
        if is_array(text):
            events = self._split(_JSON, text) or events
        elif batched:
            return Violation(NOT_JSON, "", "a batch of CloudEvents has to be an array")
        if isinstance(events, Violation):
            return events
        found = [cloudevents.from_structured(body) for body in events.bodies]
        return Contents(
            delivery, [one.body for one in found], headers=[one.headers for one in found]
        )
