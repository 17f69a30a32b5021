"""Text from outside, safe for a terminal and for one line."""

from __future__ import annotations

import time

from rich.cells import cell_len, set_cell_size

from dlmon.runtime.text import escape
from dlmon.runtime.timestamps import to_rfc3339

MAX_ID = 39
"""Columns for a message id: those that dlmon makes (`sha256:...`) and UUIDs fit."""


def safe(text: str, limit: int | None = None) -> str:
    """`text` with what a terminal could act on spelled out.

    limit: the most characters wanted; an ellipsis says that something was cut.
    """
    if limit is not None and len(text) > limit:
        text = text[: limit - 1] + "…"
    return escape(text)


def fitted(text: str, width: int) -> str:
    """`text` in exactly `width` columns of a terminal.

    It is padded, or cut in the middle, since the end of a JSON Pointer says most.
    """
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    head = set_cell_size(text, (width - 1) // 2)
    tail = set_cell_size(text[::-1], width - 1 - cell_len(head))[::-1]
    return f"{head}…{tail}"


def counted(count: int, noun: str) -> str:
    """`1 reject`, `2,000 rejects`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def clock(at: int | None) -> str:
    """`03-01 12:00:00` of this year, the date alone of others, a dash where it is unknown.

    at: milliseconds since the epoch; shown in UTC.
    """
    if at is None:
        return "-"
    text = to_rfc3339(at)
    this_year = text[:4] == to_rfc3339(time.time_ns() // 1_000_000)[:4]
    return f"{text[5:10]} {text[11:19]}" if this_year else text[:10]
