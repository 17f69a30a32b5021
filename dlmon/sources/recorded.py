"""Recorded events, from a file or from stdin, in any layout and packing that `validate-file` reads.

Each event is sent as its bytes stand in the file, valid or not: in NDJSON a line without its line
break (LF or CRLF). Reading never waits, so that a slow pipe delays neither a stop nor the events
that are there already.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path

from dlmon.errors import FileError
from dlmon.event import identify
from dlmon.event_files.block import Block, Fragment, Part, Position
from dlmon.event_files.detect import Layout
from dlmon.event_files.input import Input
from dlmon.event_files.reader import read_events
from dlmon.runtime.closeable import Closeable
from dlmon.sources.base import PlannedEvent

MAX_RECORDED_BYTES = 16 * 1024 * 1024
"""Bytes of one event. RabbitMQ by default takes no larger message (`max_message_size`)."""


class RecordedEvents(Closeable):
    """The events of a file, or those that arrive on stdin. Use as a context manager."""

    def __init__(self, path: Path, layout: Layout | None = None) -> None:
        """path: a file of any kind, `-` for stdin. layout: None to detect it.

        Raises: FileError.
        """
        self._input = Input(path, blocking=False)
        self._parts = read_events(self._input.pieces(), MAX_RECORDED_BYTES, layout)
        self._bodies: deque[bytes] = deque()
        self._last = Block(b"", Position())
        self._ended = False
        self._error: FileError | None = None

    @property
    def descriptor(self) -> int:
        return self._input.descriptor

    @property
    def exhausted(self) -> bool:
        return self._ended and not self._bodies

    def take(self, limit: int) -> list[PlannedEvent]:
        if len(self._bodies) < limit and self._error is None:
            self._read(limit)
        if self._error is not None and not self._bodies:
            raise self._error
        bodies = [self._bodies.popleft() for _ in range(min(limit, len(self._bodies)))]
        return [PlannedEvent(identify(body), body, None) for body in bodies]

    def close(self) -> None:
        self._input.close()

    def _read(self, limit: int) -> None:
        """Read until there are `limit` events, or nothing to read for now. An error is kept until
        the events before it are taken."""
        try:
            for part in self._parts:
                before = len(self._bodies)
                self._add(part)
                # A part without events ends this too: a stop must not wait for the next event.
                if not before < len(self._bodies) < limit:
                    return
        except FileError as error:
            self._error = error
        else:
            self._ended = True

    def _add(self, part: Part) -> None:
        """Raises: FileError, after the events before what is wrong."""
        if isinstance(part, Fragment):
            raise self._too_long(self._last.end.line)
        if not part.stray and len(part.data) <= MAX_RECORDED_BYTES:
            self._bodies += part.bodies()
            self._last = part
            return
        stray = min(part.stray, default=None, key=lambda one: one.offset)
        line = part.position.line
        for start, body in part.events():
            if stray is not None and start >= stray.offset:
                break
            if len(body) > MAX_RECORDED_BYTES:
                raise self._too_long(line + part.data.count(b"\n", 0, start))
            self._bodies.append(body)
        if stray is not None:
            line, column = part.position.after(part.data[: stray.offset])
            where = f"{self._input.name}:{line}:{column}"
            raise FileError(f"Cannot read on at {where}: {stray.violation.reason}.")
        self._last = part

    def _too_long(self, line: int) -> FileError:
        limit = f"{MAX_RECORDED_BYTES // 2**20} MiB, which is more than a message can be"
        return FileError(f"Cannot read {self._input.name}: line {line} is longer than {limit}.")
