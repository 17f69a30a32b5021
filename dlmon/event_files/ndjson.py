"""NDJSON: an event a line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from dlmon.event_files.block import MAX_BLOCK_EVENTS, Block, Feed, Part, Piece, Position
from dlmon.validation.json_positions import count_rare


def read_lines(feed: Feed, limit: int) -> Iterator[Part]:
    """Blocks of whole lines.

    limit: bytes of a line that may be held in memory.
    """
    position = Position()
    rest: list[bytes] = []  # what there is of the last line so far
    held = 0
    for piece in feed:
        cut = piece.rfind(b"\n") + 1
        if cut:
            lines = b"".join((*rest, piece[:cut]))
            rest, held = [], 0
            for block, count in _cut(lines):
                yield Block(block, position)
                position = Position(position.line + count)
        if tail := piece[cut:]:
            rest.append(tail)
            held += len(tail)
        if held > limit:
            yield from _long_line(b"".join(rest), feed, position)
            rest, held = [], 0
            position = Position(position.line + 1)
    if rest:
        yield Block(b"".join(rest), position)


def _long_line(beginning: bytes, feed: Feed, position: Position) -> Iterator[Part]:
    size = len(beginning)
    yield Piece(beginning)
    for piece in feed:
        line, end, after = piece.partition(b"\n")
        yield Piece(line + end)
        size += len(line)
        if end:
            feed.put_back(after)
            break
    yield Block(beginning, position, oversized=size)


def _cut(lines: bytes) -> Iterator[tuple[bytes, int]]:
    """Lines in blocks with no more of them than a block may have, and with how many."""
    count = count_rare(lines, b"\n")
    if count <= MAX_BLOCK_EVENTS:
        yield lines, count
        return
    ends = [match.end() for match in re.finditer(rb"\n", lines)]
    cuts = [0, *ends[MAX_BLOCK_EVENTS - 1 : -1 : MAX_BLOCK_EVENTS], len(lines)]
    for start, end in pairwise(cuts):
        yield lines[start:end], lines.count(b"\n", start, end)
