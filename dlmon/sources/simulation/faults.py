"""Kinds of faults in events, each with the verdict that it should get.

There is at least one kind for every code that a producer can cause. It cannot cause
`undecodable-headers` (dlmon's publisher builds sound header tables), `undeliverable` (only the
broker moves a message to rejects by itself) or `foreign` (producers publish to arrivals).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import cycle
from random import Random
from typing import Any, NamedTuple

import orjson

from dlmon.errors import UsageError
from dlmon.event import (
    COORDINATES,
    DOWNLOAD_SPEED,
    EVENT_ID,
    FILE_SIZE,
    LATITUDE,
    LONGITUDE,
    MAX_EVENT_BYTES,
    TIMESTAMP,
)
from dlmon.sources.base import PlannedEvent
from dlmon.validation.violations import (
    DUPLICATE_KEY,
    ID_CONFLICT,
    NOT_JSON,
    NOT_UTF8,
    TOO_LARGE,
    UNSTORABLE,
)


class _Context(NamedTuple):
    """What a fault may need besides the event. taken_id: that of an earlier event."""

    random: Random
    max_event_bytes: int
    taken_id: str


_Break = Callable[[bytes, _Context], bytes]


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault, with the code and the JSON Pointer of its first violation.

    `body` turns the body of a valid event into a broken one, without line breaks.
    """

    kind: str
    code: str
    path: str
    body: _Break


def find_faults(kinds: Iterable[str]) -> tuple[Fault, ...]:
    """The faults of these kinds; all of them where none is named.

    Raises: UsageError for an unknown kind.
    """
    by_kind = {fault.kind: fault for fault in FAULTS}
    found = []
    for kind in dict.fromkeys(kinds):
        if kind not in by_kind:
            near = difflib.get_close_matches(kind, by_kind, n=3)
            hint = f" Did you mean {' or '.join(near)}?" if near else ""
            raise UsageError(
                f"--fault: there is no kind {kind!r}.{hint} The kinds are {', '.join(by_kind)}."
            )
        found.append(by_kind[kind])
    return tuple(found) or FAULTS


class Breaker:
    """Gives a share of events a fault, the kinds in turn, in a random order.

    It has its own random generator: whatever the share, the other events stay the same.
    """

    def __init__(
        self,
        share: float,
        faults: Sequence[Fault],
        seed: int | None = None,
        max_event_bytes: int = MAX_EVENT_BYTES,
    ) -> None:
        """share: of events that get a fault, from 0 to 1."""
        self._share = share
        self._random = Random(None if seed is None else f"faults {seed}")  # noqa: S311  (no secret)
        self._faults = cycle(self._random.sample(faults, len(faults)))
        self._max_event_bytes = max_event_bytes
        self._taken_id: str | None = None

    def break_some(self, events: Sequence[PlannedEvent]) -> list[PlannedEvent]:
        """The events, some of them broken. A broken event keeps its message id."""
        random, share = self._random.random, self._share
        return [self._broken(event) if random() < share else self._sound(event) for event in events]

    def _sound(self, event: PlannedEvent) -> PlannedEvent:
        self._taken_id = event.message_id
        return event

    def _broken(self, event: PlannedEvent) -> PlannedEvent:
        fault = next(self._faults)
        message_id = event.message_id
        if fault.code == ID_CONFLICT:
            if self._taken_id is None:
                return self._sound(event)
            message_id = self._taken_id
        context = _Context(self._random, self._max_event_bytes, message_id)
        return PlannedEvent(message_id, fault.body(event.body, context), fault.code)


def _edit(change: Callable[[dict[str, Any]], object]) -> _Break:
    def body(sound: bytes, _context: _Context) -> bytes:
        event = orjson.loads(sound)
        change(event)
        return orjson.dumps(event)

    return body


def _set(name: str, value: object) -> _Break:
    return _edit(lambda event: _owner(event, name).update({name: value}))


def _remove(name: str) -> _Break:
    return _edit(lambda event: _owner(event, name).pop(name))


def _owner(event: dict[str, Any], name: str) -> dict[str, Any]:
    owner: dict[str, Any] = event[COORDINATES] if name in (LATITUDE, LONGITUDE) else event
    return owner


def _pointer(name: str) -> str:
    return f"/{COORDINATES}/{name}" if name in (LATITUDE, LONGITUDE) else f"/{name}"


def _append_member(member: bytes) -> _Break:
    return lambda body, _context: b"%b,%b}" % (body[:-1], member)


def _truncate(body: bytes, context: _Context) -> bytes:
    return body[: context.random.randrange(1, len(body))]


def _inflate(body: bytes, context: _Context) -> bytes:
    return b'%b,"note":"%b"}' % (body[:-1], b"x" * context.max_event_bytes)


def _take_id(body: bytes, context: _Context) -> bytes:
    return orjson.dumps({**orjson.loads(body), EVENT_ID: context.taken_id})


def _field_faults(name: str, *, of_type: object, **others: tuple[str, object]) -> tuple[Fault, ...]:
    """Faults of one field: missing, of a wrong type, and others as kind=(code, value)."""
    field = name.replace("_", "-")
    path = _pointer(name)
    return (
        Fault(f"{field}-missing", "required", path.removesuffix(f"/{name}"), _remove(name)),
        Fault(f"{field}-type", "type", path, _set(name, of_type)),
        *(
            Fault(f"{field}-{kind.replace('_', '-')}", code, path, _set(name, value))
            for kind, (code, value) in others.items()
        ),
    )


FAULTS: tuple[Fault, ...] = (
    *_field_faults(EVENT_ID, of_type=4711, format=("format", "download-4711")),
    *_field_faults(
        TIMESTAMP,
        of_type=1767225600,
        format=("format", "yesterday"),
        no_offset=("format", "2026-01-01T00:00:00"),
        # Both satisfy RFC 3339 and the schema, but no datetime of a store can hold them.
        leap_second=(UNSTORABLE, "2016-12-31T23:59:60Z"),
        year_zero=(UNSTORABLE, "0000-01-01T00:00:00Z"),
    ),
    *_field_faults(COORDINATES, of_type=[51.9, -8.4]),
    *_field_faults(
        LATITUDE, of_type="51.9", too_low=("minimum", -90.5), too_high=("maximum", 123.4)
    ),
    *_field_faults(
        LONGITUDE, of_type=None, too_low=("minimum", -180.5), too_high=("maximum", 234.5)
    ),
    *_field_faults(
        FILE_SIZE,
        of_type="8 MB",
        fraction=("type", 1048576.5),
        negative=("minimum", -1),
        too_big=("maximum", 2**53),
    ),
    *_field_faults(
        DOWNLOAD_SPEED,
        of_type="12.8",
        negative=("minimum", -0.1),
        # The schema sets no maximum, and a store's integer cannot hold it.
        too_big=(UNSTORABLE, 2**63),
    ),
    Fault("not-an-object", "type", "", lambda body, _context: orjson.dumps(body.decode())),
    Fault("duplicate-key", DUPLICATE_KEY, f"/{FILE_SIZE}", _append_member(b'"file_size":1')),
    Fault("empty", NOT_JSON, "", lambda _body, _context: b""),
    Fault("truncated", NOT_JSON, "", _truncate),
    Fault("trailing-text", NOT_JSON, "", lambda body, _context: body + b" OK"),
    Fault("byte-order-mark", NOT_JSON, "", lambda body, _context: b"\xef\xbb\xbf" + body),
    Fault("nan", NOT_JSON, "", _append_member(b'"jitter":NaN')),
    Fault("not-utf8", NOT_UTF8, "", _append_member(b'"city":"K\xf6ln"')),  # Latin-1
    Fault("too-large", TOO_LARGE, "", _inflate),
    Fault("id-conflict", ID_CONFLICT, f"/{EVENT_ID}", _take_id),
)
