"""Where the values stand in a JSON text.

Parsers throw positions away. This module finds them again, and only when they are needed: to point
at what is wrong, and to see the keys that an object has twice. It never recurses, so that nesting
cannot exhaust the stack.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import orjson

# Possessive: a repeat that can give back remembers every step, 60 bytes for each escape.
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_TOKEN = re.compile(rb"[\[\]{},:]|" + _STRING + rb'|[^\s\[\]{},:"]++')
_BRACKET = re.compile(_STRING + rb"|[\[\]{}]")


@dataclass(frozen=True, slots=True)
class Place:
    """A value in a text: bytes `start` to `end`, exclusive.

    `key_start` to `key_end` is its key, quotes included (None outside an object). `duplicate` tells
    that its object had the same key before.
    """

    pointer: str
    start: int
    end: int
    key_start: int | None
    key_end: int | None
    duplicate: bool


@dataclass(slots=True)
class _Container:
    pointer: str
    start: int
    key_start: int | None
    key_end: int | None
    duplicate: bool
    keys: set[str] | None  # None for an array
    index: int = 0
    pending: tuple[str, int, int, bool] | None = field(default=None)  # pointer, key, duplicate


def escape_pointer(token: str) -> str:
    """One reference token of a JSON Pointer (RFC 6901 section 3)."""
    return token.replace("~", "~0").replace("/", "~1")


def places(text: bytes) -> Iterator[Place]:
    """Every value of a valid JSON text (RFC 8259), containers after what they contain.

    `text` must be known to be valid: what this yields for anything else means nothing.
    """
    stack: list[_Container] = []
    for match in _TOKEN.finditer(text):
        token = match[0]
        first = token[0]
        top = stack[-1] if stack else None
        if first in b",:":
            continue
        if first in b"]}":
            done = stack.pop()
            yield Place(
                done.pointer,
                done.start,
                match.end(),
                done.key_start,
                done.key_end,
                done.duplicate,
            )
            continue
        pointer, key_start, key_end, duplicate = "", None, None, False
        if top is not None and top.keys is not None:
            if top.pending is None:
                key = orjson.loads(token)
                pointer = f"{top.pointer}/{escape_pointer(key)}"
                top.pending = (pointer, match.start(), match.end(), key in top.keys)
                top.keys.add(key)
                continue
            pointer, key_start, key_end, duplicate = top.pending
            top.pending = None
        elif top is not None:
            pointer = f"{top.pointer}/{top.index}"
            top.index += 1
        if first in b"[{":
            keys: set[str] | None = set() if first == ord("{") else None
            stack.append(_Container(pointer, match.start(), key_start, key_end, duplicate, keys))
        else:
            yield Place(pointer, match.start(), match.end(), key_start, key_end, duplicate)


def indent(text: bytes) -> bytes:
    """A valid JSON text with one value a line, each token spelled as it was.

    A parser would drop the first of two equal keys and write numbers in its own way.
    """
    parts: list[bytes] = []
    depth = 0
    before = b""
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token in (b"}", b"]"):
            depth -= 1
            if before not in (b"{", b"["):
                parts.append(b"\n" + b"  " * depth)
        elif before in (b"{", b"[", b","):
            parts.append(b"\n" + b"  " * depth)
        if token in (b"{", b"["):
            depth += 1
        parts.append(b": " if token == b":" else token)
        before = token
    return b"".join(parts)
