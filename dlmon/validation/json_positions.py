"""Where the values stand in a JSON text.

Parsers drop positions. This module finds them again, and only when they are needed: to point at
what is wrong, and to find the keys that an object has twice. It never recurses, so that nesting
cannot exhaust the stack.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from dlmon.validation.json_pointer import escape_token

# Possessive quantifiers: one that can backtrack remembers every step, 60 bytes for each escape.
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_TOKEN = re.compile(rb"[\[\]{},:]|" + _STRING + rb'|[^\s\[\]{},:"]++')
_BRACKET = re.compile(_STRING + rb"|[\[\]{}]")


class ValueSpan(NamedTuple):
    """A value in a text: bytes `start` to `end`, exclusive.

    `key_start` to `key_end` is its key with the quotes (None outside an object). `duplicate`: its
    object had the same key before.
    """

    pointer: str
    start: int
    end: int
    key_start: int | None = None
    key_end: int | None = None
    duplicate: bool = False


class _Member(NamedTuple):
    """What is known of a value before it begins: its pointer and, in an object, its key."""

    pointer: str
    key_start: int | None = None
    key_end: int | None = None
    duplicate: bool = False


@dataclass(slots=True)
class _Container:
    """An array or object that has begun and not ended."""

    member: _Member
    start: int
    keys: set[str] | None  # None for an array
    index: int = 0
    pending: _Member | None = None  # its key was read, its value comes next


def value_spans(text: bytes) -> Iterator[ValueSpan]:
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
            ended = stack.pop()
            pointer, key_start, key_end, duplicate = ended.member
            yield ValueSpan(pointer, ended.start, match.end(), key_start, key_end, duplicate)
            continue
        member = _Member("")
        if stack:
            top = stack[-1]
            if top.keys is None:
                member = _Member(f"{top.member.pointer}/{top.index}")
                top.index += 1
            elif top.pending is None:
                key = orjson.loads(token)
                pointer = f"{top.member.pointer}/{escape_token(key)}"
                top.pending = _Member(pointer, match.start(), match.end(), key in top.keys)
                top.keys.add(key)
                continue
            else:
                member, top.pending = top.pending, None
        if first in b"[{":
            stack.append(_Container(member, match.start(), set() if first in b"{" else None))
        else:
            yield ValueSpan(member.pointer, match.start(), match.end(), *member[1:])


def indent(text: bytes) -> bytes:
    """A valid JSON text with one value a line, each token spelled as it was.

    A parser would drop the first of two equal keys, and write numbers in its own way.
    """
    parts: list[bytes] = []
    depth = 0
    previous = b""
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token in (b"}", b"]"):
            depth -= 1
            if previous not in (b"{", b"["):
                parts.append(b"\n" + b"  " * depth)
        elif previous in (b"{", b"[", b","):
            parts.append(b"\n" + b"  " * depth)
        if token in (b"{", b"["):
            depth += 1
        parts.append(b": " if token == b":" else token)
        previous = token
    return b"".join(parts)


def offset_deeper_than(text: bytes, depth: int) -> int | None:
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


def count_rare(text: bytes, byte: bytes) -> int:
    """How often a byte that is rare in it stands in a text.

    `bytes.count` looks at each byte, where `bytes.replace` jumps from one to the next.
    """
    return len(text) - len(text.replace(byte, b""))
