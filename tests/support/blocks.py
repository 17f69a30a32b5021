"""Blocks of events, and what screening makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from dlmon.event_files.block import Block, Position
from dlmon.linting.prefilter import Prefilter


class Suspect(NamedTuple):
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


def screen(screener: Prefilter, block: Block) -> tuple[int, list[Suspect]]:
    """How many events there are, and all suspects."""
    parts = list(screener.screen(block))
    return sum(part.events for part in parts), [
        Suspect(*span, value)
        for part in parts
        for span, value in zip(part.spans, part.suspects, strict=True)
    ]
