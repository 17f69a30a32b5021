"""JSON texts, one after the other, and the elements of those that are arrays.

A text is cut at its brackets, whatever else is wrong with it: judging says that. So what follows a
broken event is judged too, as long as its brackets match.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum, auto

from dlmon.event_files.block import (
    BYTE_ORDER_MARK,
    BYTE_ORDER_MARK_REASON,
    MAX_BLOCK_EVENTS,
    Block,
    Fault,
    Feed,
    Part,
    Piece,
    Position,
)
from dlmon.validation.violations import NOT_JSON, Violation

_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'


def _nested(levels: int) -> bytes:
    inner = rb"|" + _nested(levels - 1) if levels > 1 else b""
    return rb'[\[{](?:[^"\[\]{}]++|' + _STRING + inner + rb")*+[\]}]"


# Most events are found with this at once; the others, bracket by bracket.
_VALUE = re.compile(_nested(4), re.DOTALL)
_SPACE = re.compile(rb"[ \t\r\n]*+")
_SCALAR = re.compile(rb'[^ \t\r\n\[\]{},"]++')
_TO_BRACKET = re.compile(rb'[^"\[\]{}]*+')
_TO_QUOTE = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)


class _Nesting:
    """Finds the end of a value that comes in parts."""

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = False

    def end(self, text: bytes, start: int) -> tuple[int, bool]:
        """How far the value goes in `text` from `start`, and whether it ends there.

        The next part has to begin with what is left of this one.
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


class _Token:
    """Finds the end of anything else that comes in parts."""

    def end(self, text: bytes, start: int) -> tuple[int, bool]:
        at = _after(_SCALAR, text, start)
        return at, at < len(text)


class _Expected(Enum):
    TEXT = auto()  # outside of arrays of events
    FIRST = auto()  # the first element, or the end
    ELEMENT = auto()
    COMMA = auto()  # or the end


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
        self._final = False  # there is nothing after the text
        self._at = 0  # what comes before has been looked at
        self._known_end: int | None = None  # of the value at the beginning of the text
        self._spans: list[tuple[int, int]] = []
        self._faults: list[Fault] = []

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
            self._fault("the array does not end")
            yield self._take()

    def _read(self) -> None:
        piece = next(self._feed, None)
        self._final = piece is None
        self._text = piece or b""

    def _scan(self) -> bool:
        """Look at the text; True when there is no more of it, False when a block is full."""
        text = self._text
        while len(self._spans) + len(self._faults) < MAX_BLOCK_EVENTS:
            self._at = _after(_SPACE, text, self._at)
            if self._at == len(text):
                return True
            outside = self._expected is _Expected.TEXT
            byte = text[self._at]
            if byte in b",]}":
                self._separator(byte)
                self._at += 1
            elif outside and self._arrays and byte == 0x5B:
                self._expected = _Expected.FIRST
                self._at += 1
            elif outside and text.startswith(BYTE_ORDER_MARK, self._at):
                self._fault(BYTE_ORDER_MARK_REASON)
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
                self._fault("a trailing comma is not allowed")
            self._expected = _Expected.TEXT
        else:
            self._fault(f"unexpected {chr(byte)!r} between events")

    def _value(self) -> bool:
        """Look at one value; False when the text breaks off in it."""
        end = self._end()
        if end is None:
            return False
        if self._expected is _Expected.COMMA:
            self._fault("a comma is missing before this value")
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
        """What was looked at, which then is no longer in the text."""
        block = Block(
            self._text[: self._at], self._position, tuple(self._spans), tuple(self._faults)
        )
        self._position = self._position.after(block.data)
        self._text = self._text[self._at :]
        self._at = 0
        self._spans, self._faults = [], []
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
            self._final = (more := next(self._feed, b"")) == b""
            piece += more
            at, ended = ending.end(piece, 0)
        if ended or self._final:
            self._known_end = size + (at if ended else len(piece))
            self._text = b"".join((*parts, piece))
            return
        beginning, position = b"".join((*parts, piece[:at])), self._position
        size += at
        yield Piece(beginning)
        self._position = self._position.after(beginning)
        for more in self._feed:
            piece = piece[at:] + more
            at, ended = ending.end(piece, 0)
            size += at
            yield Piece(piece[:at])
            self._position = self._position.after(piece[:at])
            if ended:
                self._feed.put_back(piece[at:])
                break
        if self._expected is not _Expected.TEXT:
            self._expected = _Expected.COMMA
        yield Block(beginning, position, (), oversized=size)

    def _fault(self, reason: str) -> None:
        self._faults.append(Fault(self._at, Violation(NOT_JSON, "", reason)))


def _ending(first: int) -> _Nesting | _Token:
    return _Nesting() if first in b'[{"' else _Token()


def _after(pattern: re.Pattern[bytes], text: bytes, start: int) -> int:
    """The end of a match that can be empty, and so always is there."""
    match = pattern.match(text, start)
    return match.end() if match else start
