"""From the pieces of a file to blocks of its events."""

from __future__ import annotations

from collections.abc import Iterator

from dlmon.event_files.block import Block, Feed, Part, Position, StrayViolation
from dlmon.event_files.detect import Layout, detect, detect_other_data
from dlmon.event_files.json_documents import read_documents
from dlmon.event_files.ndjson import read_lines
from dlmon.validation.violations import NOT_UTF8, Violation

_HEAD_BYTES = 256 * 1024


def read_events(
    pieces: Iterator[bytes], limit: int, layout: Layout | None = None
) -> Iterator[Part]:
    """The events of a file, block by block, in order.

    pieces: an empty one means that there is nothing to read for now; a block, empty perhaps, then
    follows before the next piece is read. limit: bytes of an event; of a larger one only the
    beginning is kept in memory. layout: None to detect it from how the file begins.

    Raises: what `pieces` raises.
    """
    feed = Feed(pieces)
    head = b""
    found = layout
    for piece in feed:
        if not piece:
            yield Block(b"", Position())
            continue
        head += piece
        found = layout or detect(head, final=False)
        if found is not None or len(head) >= _HEAD_BYTES:
            break
    if other := detect_other_data(head):
        reason = f"{other}, where JSON is UTF-8 (RFC 8259 section 8.1): not read"
        yield Block(head, Position(), (), (StrayViolation(0, Violation(NOT_UTF8, "", reason)),))
        return
    feed.put_back(head)
    found = found or detect(head, final=True) or Layout.NDJSON
    if found is Layout.NDJSON:
        yield from read_lines(feed, limit)
    else:
        yield from read_documents(feed, limit, arrays=found is Layout.ARRAY)
