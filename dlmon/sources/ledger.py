"""What a producer meant to send and what the broker has for certain, in a file that is appended to.

Two kinds of lines, NDJSON:

    {"id":"cfa695c4-...","verdict":"valid"}     an event, before it is sent
    {"id":"cfa695c4-...","confirmed":true}      the broker has taken an event with this id

`verdict` is the one that the event should get: `valid`, or the code it should be rejected with.
Every event on the broker thus has a line with its verdict, and every confirmed one is there,
whenever the producer is killed. In between, an event may be on the broker or not. An id stands in
several lines where several events have it: those of the fault `id-conflict` do.

Each line was handed to the operating system before the next step: it survives the end of the
process, not that of the machine. A line that is no JSON is one that a killed process did not finish
(what it was about was not sent, or is not known to be confirmed): skip it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import orjson

from dlmon.errors import FileError
from dlmon.messages import Message
from dlmon.runtime.closeable import Closeable
from dlmon.sources.base import PlannedEvent


class Ledger(Closeable):
    """Appends to a ledger. Use as a context manager."""

    def __init__(self, path: Path) -> None:
        """Raises: FileError."""
        self._path = path
        try:
            # Unbuffered, so that what was written is out of the hands of this process.
            self._file = path.open("a+b", buffering=0)
            end = os.fstat(self._file.fileno()).st_size
            if end and os.pread(self._file.fileno(), 1, end - 1) != b"\n":
                self._append(b"\n")
        except OSError as error:
            raise self._failed(error) from error

    def plan(self, events: Iterable[PlannedEvent]) -> None:
        """Note events that are about to be sent.

        Raises: FileError, and they must not be sent.
        """
        self._write({"id": event.message_id, "verdict": event.verdict} for event in events)

    def confirm(self, messages: Iterable[Message]) -> None:
        """Note messages that the broker has taken.

        Raises: FileError.
        """
        self._write({"id": message.message_id, "confirmed": True} for message in messages)

    def close(self) -> None:
        self._file.close()

    def _write(self, records: Iterable[dict[str, str | bool | None]]) -> None:
        lines = b"".join(
            orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE) for record in records
        )
        try:
            self._append(lines)
        except OSError as error:
            raise self._failed(error) from error

    def _append(self, lines: bytes) -> None:
        left = memoryview(lines)
        while left:
            left = left[self._file.write(left) :]

    def _failed(self, error: OSError) -> FileError:
        return FileError(f"Cannot write the ledger {self._path}: {error.strerror}.")
