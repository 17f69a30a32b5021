"""Cuts a text into the exact bytes of each of its events."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from dlmon.event_files.block import WHITESPACE, Block, Feed, Position
from dlmon.event_files.json_documents import read_documents
from dlmon.validation.violations import NOT_JSON, TOO_LARGE, Violation

MAX_EVENTS = 200_000
"""Events of one message: each takes memory, however small it is."""

_PARSED_BYTES = 1024 * 1024
"""A larger text is not parsed as a whole: its values would take many times as much memory."""

_PIECE_BYTES = 128 * 1024
_BETWEEN_OBJECTS = re.compile(rb"\}[ \t\r\n]*+,[ \t\r\n]*+\{")
_BETWEEN_LINES = re.compile(rb"\}[ \t\r]*+\n[ \t\r\n]*+\{")


class Events(NamedTuple):
    """The bytes of each event of a text, and their values where they had to be parsed anyway."""

    bodies: Sequence[bytes]
    values: list[Any] | None = None


def split_array(text: bytes) -> Events | Violation | None:
    """The elements of an array, or why it cannot be taken apart.

    None where no element is an object, since it is no array of events then.
    """
    return (_split_whole(text) if len(text) <= _PARSED_BYTES else None) or _split_by_brackets(text)


def split_lines(text: bytes) -> Events | Violation | None:
    """The lines of NDJSON that are not blank; None where there is none."""
    if text.count(b"\n") > MAX_EVENTS:
        return _too_many()
    bodies = Block(text, Position()).bodies()
    return Events(bodies) if bodies else None


def looks_like_lines(text: bytes) -> bool:
    """Whether a text that begins with an object goes on with another one on a further line.

    One JSON text never does: there is a comma between two objects of an array.
    """
    if b"\n" not in text or not (between := _BETWEEN_LINES.search(text)):
        return False
    try:
        orjson.loads(text[: between.start() + 1])
    except orjson.JSONDecodeError:
        return False
    return True


def _split_whole(text: bytes) -> Events | None:
    """The elements of an array of objects alone, where that is simple to see."""
    try:
        values = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if set(map(type, values)) != {dict}:
        return None
    start, end = text.index(b"{") + 1, text.rindex(b"}")
    pieces = _BETWEEN_OBJECTS.split(text[start:end])
    # This stands between any two elements, and never partly in a string. So if there are as many
    # as between the elements, it stands nowhere else.
    if len(pieces) != len(values):
        return None
    return Events([b"{%b}" % piece for piece in pieces], values)


def _split_by_brackets(text: bytes) -> Events | Violation | None:
    pieces = (text[at : at + _PIECE_BYTES] for at in range(0, len(text), _PIECE_BYTES))
    bodies: list[bytes] = []
    has_objects = False
    offset = 0
    for block in read_documents(Feed(pieces), len(text), arrays=True):
        if not isinstance(block, Block):  # only of an event over the limit
            continue
        if block.stray and (has_objects or b"{" in block.data):
            stray = block.stray[0]
            where = f"at byte {offset + stray.offset}"
            reason = f"the array cannot be taken apart: {stray.violation.reason}, {where}"
            return Violation(NOT_JSON, "", reason)
        offset += len(block.data)
        found = block.bodies()
        has_objects = has_objects or any(body.startswith(b"{") for body in found)
        bodies += found
        if len(bodies) > MAX_EVENTS:
            return _too_many()
    return Events(bodies) if has_objects else None


def _too_many() -> Violation:
    return Violation(TOO_LARGE, "", f"more than {MAX_EVENTS:,} events in one message")


def is_array(text: bytes) -> bool:
    """Whether a JSON text begins as an array."""
    return text.lstrip(WHITESPACE).startswith(b"[")
