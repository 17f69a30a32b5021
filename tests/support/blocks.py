"""Blocks of events, and their candidates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from dlmon.event_files.block import Block, Position
from dlmon.linting.prefilter import Prefilter


class Candidate(NamedTuple):
    """An event that may be invalid: bytes `start` to `end` of its block, exclusive."""

    start: int
    end: int
    value: Any


def by_lines(texts: Sequence[bytes]) -> Block:
    """Each is a line."""
    return Block(b"\n".join(texts), Position())


def by_spans(texts: Sequence[bytes]) -> Block:
    """Each is a value, wherever it stands."""
    spans, start = [], 0
    for text in texts:
        spans.append((start, start + len(text)))
        start += len(text) + 1
    return Block(b"\n".join(texts), Position(), tuple(spans))


def candidates_in(prefilter: Prefilter, block: Block) -> tuple[int, list[Candidate]]:
    """How many events there are, and all candidates."""
    parts = list(prefilter.candidates(block))
    return sum(part.events for part in parts), [
        Candidate(*span, value)
        for part in parts
        for span, value in zip(part.spans, part.values, strict=True)
    ]
