"""A part of a file: some events, and where they stand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Self, TypeAlias

from dlmon.validation.violations import Violation

MAX_BLOCK_EVENTS = 768
"""Events of one block: what is wrong with all of them has to fit into memory."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
BYTE_ORDER_MARK_REASON = "a byte order mark, which no JSON text begins with (RFC 8259 section 8.1)"

WHITESPACE = b" \t\r\n"
"""RFC 8259 section 2."""

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


class Fault(NamedTuple):
    """What is wrong between events, at byte `offset` of a block."""

    offset: int
    violation: Violation


@dataclass(frozen=True, slots=True)
class Block:
    """Some events of a file. `data` begins at `position`.

    spans: the bytes of each event in `data`, end exclusive; None where each line is an event, and
    blank ones are none. oversized: `data` is the beginning of one event with so many bytes, which
    are more than the limit.
    """

    data: bytes
    position: Position
    spans: tuple[tuple[int, int], ...] | None = None
    faults: tuple[Fault, ...] = ()
    oversized: int = 0

    @property
    def end(self) -> Position:
        """Where the data ends."""
        return self.position.after(self.data)


@dataclass(frozen=True, slots=True)
class Piece:
    """Some bytes of an event over the limit, which is never held whole. Its `Block` follows."""

    data: bytes


Part: TypeAlias = Block | Piece


class Feed:
    """Iterates over pieces of a text; what was taken of one too much can be put back."""

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


def characters(text: bytes) -> int:
    """How many characters a text has; of bytes that are no UTF-8, those that could begin one."""
    return len(text) if text.isascii() else len(text.translate(None, _CONTINUATION))
