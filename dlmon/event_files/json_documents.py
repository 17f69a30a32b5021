"""JSON texts, one after the other, and the elements of those that are arrays.

A text is cut at its brackets, and otherwise not checked: that is left to validation. So what
follows a broken event is validated too, as long as brackets match.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum, auto

from dlmon.event_files.block import (
    BYTE_ORDER_MARK_REASON,
    MAX_BLOCK_EVENTS,
    Block,
    Feed,
    Fragment,
    Part,
    Position,
    StrayViolation,
)
from dlmon.validation.data_formats import BYTE_ORDER_MARK
from dlmon.validation.violations import NOT_JSON, Violation

_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'


def _nested(levels: int) -> bytes:
    inner = rb"|" + _nested(levels - 1) if levels > 1 else b""
    return rb'[\[{](?:[^"\[\]{}]++|' + _STRING + inner + rb")*+[\]}]"


# Matches most events whole; the others are cut bracket by bracket.
_VALUE = re.compile(_nested(4), re.DOTALL)
_SPACE = re.compile(rb"[ \t\r\n]*+")
_SCALAR = re.compile(rb'[^ \t\r\n\[\]{},"]++')
_TO_BRACKET = re.compile(rb'[^"\[\]{}]*+')
_TO_QUOTE = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)


class _NestedEnd:
    """Finds the end of an object, an array or a string that comes in parts."""

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = False

    def end(self, text: bytes, start: int) -> tuple[int, bool]:
        """Where the value, or what there is of it, ends in `text` from `start`; and whether it is
        complete. If not, the next part has to begin with the rest of this one.
        """
        at = start
        while True:
            if self._in_string:
                at = _after(_TO_QUOTE, text, at)
                if at == len(text) or text[at] != 0x22:  # a backslash at the very end
                    return at, False
                self._in_string = False
            else:
                at = _after(_TO_BRACKET, text, at)
                if at == len(text):
                    return at, False
                if text[at] == 0x22:
                    self._in_string = True
                else:
                    self._depth += 1 if text[at] in b"[{" else -1
            at += 1
            if not self._depth and not self._in_string:
                return at, True


class _ScalarEnd:
    """Finds the end of a number or a literal that comes in parts."""

    def end(self, text: bytes, start: int) -> tuple[int, bool]:
        at = _after(_SCALAR, text, start)
        return at, at < len(text)


class _Expected(Enum):
    TEXT = auto()  # outside of arrays of events
    FIRST = auto()  # the first element of an array, or its end
    ELEMENT = auto()
    COMMA = auto()  # or the end of the array


def read_documents(feed: Feed, limit: int, *, arrays: bool) -> Iterator[Part]:
    """Blocks of events.

    limit: bytes of an event that may be held in memory. arrays: each element of a text that is an
    array is an event, rather than the array.
    """
    return _Reader(feed, limit, arrays=arrays).parts()


class _Reader:
    def __init__(self, feed: Feed, limit: int, *, arrays: bool) -> None:
        self._feed = feed
        self._limit = limit
        self._arrays = arrays
        self._expected = _Expected.TEXT
        self._text = b""
        self._position = Position()  # where the text begins
        self._any_text = False
        self._final = False  # nothing follows the text
        self._at = 0  # the text before is scanned
        self._known_end: int | None = None  # of the value that the text begins with
        self._spans: list[tuple[int, int]] = []
        self._stray: list[StrayViolation] = []

    def parts(self) -> Iterator[Part]:
        while True:
            while not self._scan():
                yield self._take()
            yield self._take()
            if self._final:
                break
            if self._text:
                yield from self._gather()
            else:
                self._read()
        if self._expected is not _Expected.TEXT:
            self._report("the array does not end")
        elif not self._any_text:
            self._report("there is no JSON text")
        yield self._take()

    def _read(self) -> None:
        piece = next(self._feed, None)
        self._final = piece is None
        self._text = piece or b""

    def _scan(self) -> bool:
        """Scan the text. True at its end, or where a value breaks off; False when a block is
        full."""
        text = self._text
        while len(self._spans) + len(self._stray) < MAX_BLOCK_EVENTS:
            self._at = _after(_SPACE, text, self._at)
            if self._at == len(text):
                return True
            self._any_text = True
            outside = self._expected is _Expected.TEXT
            byte = text[self._at]
            if byte in b",]}":
                self._separator(byte)
                self._at += 1
            elif outside and self._arrays and byte == 0x5B:
                self._expected = _Expected.FIRST
                self._at += 1
            elif outside and text.startswith(BYTE_ORDER_MARK, self._at):
                self._report(BYTE_ORDER_MARK_REASON)
                self._at += len(BYTE_ORDER_MARK)
            elif not self._value():
                return True
        return False

    def _separator(self, byte: int) -> None:
        expected = self._expected
        if byte == 0x2C and expected is _Expected.COMMA:
            self._expected = _Expected.ELEMENT
        elif byte == 0x5D and expected is not _Expected.TEXT:
            if expected is _Expected.ELEMENT:
                self._report("a trailing comma is not allowed")
            self._expected = _Expected.TEXT
        else:
            self._report(f"unexpected {chr(byte)!r} between events")

    def _value(self) -> bool:
        """Scan one value; False when the text breaks off in it."""
        end = self._end()
        if end is None:
            return False
        if self._expected is _Expected.COMMA:
            self._report("a comma is missing before this value")
        elif self._expected is not _Expected.TEXT:
            self._expected = _Expected.COMMA
        self._spans.append((self._at, end))
        self._at = end
        return True

    def _end(self) -> int | None:
        text, at = self._text, self._at
        if self._known_end is not None:
            end, self._known_end = self._known_end, None
            return end
        if found := _VALUE.match(text, at):
            return found.end()
        end, ended = _ending(text[at]).end(text, at)
        if ended:
            return end
        return len(text) if self._final else None

    def _take(self) -> Block:
        """The scanned part of the text, which is removed from it."""
        block = Block(
            self._text[: self._at], self._position, tuple(self._spans), tuple(self._stray)
        )
        self._position = self._position.after(block.data)
        self._text = self._text[self._at :]
        self._at = 0
        self._spans, self._stray = [], []
        return block

    def _gather(self) -> Iterator[Part]:
        """The rest of the value that the text breaks off in, as far as the limit."""
        ending = _ending(self._text[0])
        piece, self._text = self._text, b""
        parts: list[bytes] = []
        size = 0
        at, ended = ending.end(piece, 0)
        while not ended and not self._final and size + at <= self._limit:
            parts.append(piece[:at])
            size += at
            piece = piece[at:]
            while (more := next(self._feed, None)) == b"":
                yield Block(b"", self._position, ())  # nothing to read for now
            self._final = more is None
            piece += more or b""
            at, ended = ending.end(piece, 0)
        if ended or self._final:
            self._known_end = size + (at if ended else len(piece))
            self._text = b"".join((*parts, piece))
            return
        beginning, position = b"".join((*parts, piece[:at])), self._position
        size += at
        yield Fragment(beginning)
        self._position = self._position.after(beginning)
        for more in self._feed:
            piece = piece[at:] + more
            at, ended = ending.end(piece, 0)
            size += at
            yield Fragment(piece[:at])
            self._position = self._position.after(piece[:at])
            if ended:
                self._feed.put_back(piece[at:])
                break
        if self._expected is not _Expected.TEXT:
            self._expected = _Expected.COMMA
        yield Block(beginning, position, (), oversized=size)

    def _report(self, reason: str) -> None:
        self._stray.append(StrayViolation(self._at, Violation(NOT_JSON, "", reason)))


def _ending(first: int) -> _NestedEnd | _ScalarEnd:
    return _NestedEnd() if first in b'[{"' else _ScalarEnd()


def _after(pattern: re.Pattern[bytes], text: bytes, start: int) -> int:
    """The end of a match of a pattern that also matches nothing."""
    match = pattern.match(text, start)
    return match.end() if match else start
