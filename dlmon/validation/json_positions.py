"""Where the values stand in a JSON text.

Parsers throw positions away. This module finds them again, and only when they are needed: to point
at what is wrong, and to see the keys that an object has twice. It never recurses, so that nesting
cannot exhaust the stack.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

# Possessive: a repeat that can give back remembers every step, 60 bytes for each escape.
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_TOKEN = re.compile(rb"[\[\]{},:]|" + _STRING + rb'|[^\s\[\]{},:"]++')
_BRACKET = re.compile(_STRING + rb"|[\[\]{}]")


class Place(NamedTuple):
    """A value in a text: bytes `start` to `end`, exclusive.

    `key_start` to `key_end` is its key with the quotes (None outside an object). `duplicate` tells
    that its object had the same key before.
    """

    pointer: str
    start: int
    end: int
    key_start: int | None = None
    key_end: int | None = None
    duplicate: bool = False


class _Name(NamedTuple):
    """What is known of a value before it begins."""

    pointer: str
    key_start: int | None = None
    key_end: int | None = None
    duplicate: bool = False


@dataclass(slots=True)
class _Container:
    name: _Name
    start: int
    keys: set[str] | None  # None for an array
    index: int = 0
    member: _Name | None = None  # the member whose key was read and whose value comes next


def escape_pointer(token: str) -> str:
    """One reference token of a JSON Pointer (RFC 6901 section 3)."""
    return token.replace("~", "~0").replace("/", "~1")


def to_pointer(tokens: Iterable[str | int]) -> str:
    """The JSON Pointer with these reference tokens."""
    return "".join(f"/{escape_pointer(str(token))}" for token in tokens)


def places(text: bytes) -> Iterator[Place]:
    """Every value of a valid JSON text (RFC 8259), containers after what they contain.

    `text` must be known to be valid: what this yields for anything else means nothing.
    """
    stack: list[_Container] = []
    for match in _TOKEN.finditer(text):
        token = match[0]
        first = token[0]
        if first in b",:":
            continue
        if first in b"]}":
            done = stack.pop()
            pointer, key_start, key_end, duplicate = done.name
            yield Place(pointer, done.start, match.end(), key_start, key_end, duplicate)
            continue
        name = _Name("")
        if stack:
            top = stack[-1]
            if top.keys is None:
                name = _Name(f"{top.name.pointer}/{top.index}")
                top.index += 1
            elif top.member is None:
                key = orjson.loads(token)
                pointer = f"{top.name.pointer}/{escape_pointer(key)}"
                top.member = _Name(pointer, match.start(), match.end(), key in top.keys)
                top.keys.add(key)
                continue
            else:
                name, top.member = top.member, None
        if first in b"[{":
            stack.append(_Container(name, match.start(), set() if first in b"{" else None))
        else:
            yield Place(name.pointer, match.start(), match.end(), *name[1:])


def indent(text: bytes) -> bytes:
    """A valid JSON text with one value a line, each token spelled as it was.

    A parser would drop the first of two equal keys, and write numbers in its own way.
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


def too_deep_at(text: bytes, depth: int) -> int | None:
    """The byte at which a valid JSON text goes deeper than `depth` levels, None if it does not."""
    level = 0
    for match in _BRACKET.finditer(text):
        first = match[0][0]
        if first in b"[{":
            level += 1
            if level > depth:
                return match.start()
        elif first in b"]}":
            level -= 1
    return None


def count_strings(text: bytes) -> int:
    """How many strings a valid JSON text has, keys included."""
    if b"\\" in text:
        # From the left, so that of `\\\\"` the first two go together: the quote ends the string.
        text = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    return text.count(b'"') // 2


def may_have_duplicate_keys(text: bytes, value: Any) -> bool:
    """Whether a slow look for them is owed. Never False for a text that has one.

    value: the parsed text. Of equal keys, a parser keeps one: the text then has more strings than
    the value written out again.
    """
    again = orjson.dumps(value)
    # Most texts are written just so.
    return again != text and count_strings(text) != count_strings(again)


def count_rare(text: bytes, what: bytes) -> int:
    """How often a byte stands in a text, at once where that is seldom.

    `bytes.count` looks at each byte, where `bytes.replace` jumps from one to the next.
    """
    return len(text) - len(text.replace(what, b""))
