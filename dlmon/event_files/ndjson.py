"""NDJSON: one event a line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from dlmon.event_files.block import MAX_BLOCK_EVENTS, Block, Feed, Fragment, Part, Position
from dlmon.validation.json_positions import count_rare


def read_lines(feed: Feed, limit: int) -> Iterator[Part]:
    """Blocks of whole lines.

    limit: bytes of a line that may be held in memory.
    """
    position = Position()
    rest: list[bytes] = []  # the beginning of a line that is not complete yet
    held = 0  # bytes in it
    for piece in feed:
        if not piece:
            yield Block(b"", position)
            continue
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
    yield Fragment(beginning)
    for piece in feed:
        line, end, after = piece.partition(b"\n")
        yield Fragment(line + end)
        size += len(line)
        if end:
            feed.put_back(after)
            break
    yield Block(beginning, position, oversized=size)


def _cut(lines: bytes) -> Iterator[tuple[bytes, int]]:
    """Lines in blocks of up to `MAX_BLOCK_EVENTS`, each with its number of lines."""
    count = count_rare(lines, b"\n")
    if count <= MAX_BLOCK_EVENTS:
        yield lines, count
        return
    ends = [match.end() for match in re.finditer(rb"\n", lines)]
    cuts = [0, *ends[MAX_BLOCK_EVENTS - 1 : -1 : MAX_BLOCK_EVENTS], len(lines)]
    for start, end in pairwise(cuts):
        yield lines[start:end], lines.count(b"\n", start, end)
