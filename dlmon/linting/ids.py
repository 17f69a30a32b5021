"""The ids of events, and where they stand in their file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import NamedTuple

import orjson

from dlmon.event import EVENT_ID, event_id_of
from dlmon.event_files.block import WHITESPACE, Block

_ID_MEMBER = re.compile(rb'"%b"\s*+:\s*+("([^"]*+)")' % EVENT_ID.encode())


class IdSeen(NamedTuple):
    """The `event_id` of an event, a hash of its body, and where the id stands."""

    event_id: str
    body: bytes
    line: int
    column: int
    end_column: int


def ids_seen(block: Block) -> Iterator[IdSeen]:
    """The ids of the events of a block that have one, in their order."""
    at, position = 0, block.position
    for start, body in _events(block):
        try:
            event_id = event_id_of(orjson.loads(body))
        except orjson.JSONDecodeError:
            continue
        if event_id is None:
            continue
        position = position.after(block.data[at:start])
        at = start
        # Not the first such member, perhaps, but then one with the same value.
        quoted = event_id.encode()
        stands = (one.span(1) for one in _ID_MEMBER.finditer(body) if one[2] == quoted)
        first, last = next(stands, (0, 1))
        begin = position.after(body[:first])
        end = begin.after(body[first:last])
        digest = hashlib.blake2b(body.strip(WHITESPACE), digest_size=8).digest()
        yield IdSeen(event_id, digest, begin.line, begin.column, end.column)


def _events(block: Block) -> Iterator[tuple[int, bytes]]:
    """Each event of a block, blank lines among them, and at which byte it begins."""
    if block.spans is not None:
        yield from ((start, block.data[start:end]) for start, end in block.spans)
        return
    start = 0
    for line in block.data.split(b"\n"):
        yield start, line
        start += len(line) + 1
