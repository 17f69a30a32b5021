"""A part of a file: some events, and where they stand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Self, TypeAlias

from dlmon.validation.violations import Violation

MAX_BLOCK_EVENTS = 768
"""Events of one block: the findings of all of them have to fit into memory."""

BYTE_ORDER_MARK_REASON = "a byte order mark, which no JSON text begins with (RFC 8259 section 8.1)"

WHITESPACE = b" \t\r\n"
"""RFC 8259 section 2."""

_LINE_ENDS_TO_SPACES = bytes.maketrans(b"\r\n", b"  ")
_CONTINUATION = bytes(range(0x80, 0xC0))


class Position(NamedTuple):
    """Line and column, both from 1. Columns count characters; a line ends with LF."""

    line: int = 1
    column: int = 1

    def after(self, text: bytes) -> Position:
        """The position behind a text that begins here."""
        lines = text.count(b"\n")
        if lines:
            return Position(self.line + lines, 1 + characters(text[text.rindex(b"\n") + 1 :]))
        return Position(self.line, self.column + characters(text))


class StrayViolation(NamedTuple):
    """A violation outside of any event, such as a missing comma, at byte `offset` of a block."""

    offset: int
    violation: Violation


@dataclass(frozen=True, slots=True)
class Block:
    """Some events of a file. `data` begins at `position`.

    spans: the bytes of each event in `data`, end exclusive; None where each line that is not blank
    is an event. oversized: `data` is only the beginning of an event of this many bytes, which are
    more than the limit; 0 elsewhere.
    """

    data: bytes
    position: Position
    spans: tuple[tuple[int, int], ...] | None = None
    stray: tuple[StrayViolation, ...] = ()
    oversized: int = 0

    @property
    def end(self) -> Position:
        """Where the data ends."""
        return self.position.after(self.data)

    def bodies(self) -> list[bytes]:
        """The events. A line comes without its line break."""
        if self.spans is not None:
            return [self.data[start:end] for start, end in self.spans]
        lines = self.data.split(b"\n")
        if b"\r" in self.data:
            lines = [line.removesuffix(b"\r") for line in lines]
        return [line for line in lines if line.strip(WHITESPACE)]

    def events(self) -> Iterator[tuple[int, bytes]]:
        """As `bodies`, each with its first byte in `data`."""
        if self.spans is not None:
            yield from ((start, self.data[start:end]) for start, end in self.spans)
            return
        start = 0
        for line in self.data.split(b"\n"):
            if line.strip(WHITESPACE):
                yield start, line.removesuffix(b"\r")
            start += len(line) + 1


@dataclass(frozen=True, slots=True)
class Fragment:
    """Some bytes of an event over the limit, which is never held whole. Its `Block` follows."""

    data: bytes


Part: TypeAlias = Block | Fragment


class Feed:
    """Iterates over pieces of a text; the end of a piece can be put back."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._back = b""

    def put_back(self, text: bytes) -> None:
        self._back = text

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        if self._back:
            back, self._back = self._back, b""
            return back
        return next(self._pieces)


def in_one_line(text: bytes) -> bytes:
    """A JSON text with spaces for its line ends, which are only whitespace in it."""
    return text.translate(_LINE_ENDS_TO_SPACES)


def characters(text: bytes) -> int:
    """How many characters a text has. In bytes that are not UTF-8, those that could begin one."""
    return len(text) if text.isascii() else len(text.translate(None, _CONTINUATION))
