"""Events as NDJSON, one a line: appended to a file, or on stdout.

A line has the bytes of the event as they came, without line breaks between JSON tokens: these would
end the line, and have no meaning in JSON.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dlmon.errors import StoreUnavailable
from dlmon.runtime.files import fsync_folder
from dlmon.runtime.stdio import write_all
from dlmon.stores.base import Entry, Store, WriteResult

_START = re.compile(rb"[ \t\r\n]*(([{\[\"\-0-9]|true\b|false\b|null\b)[^\x00-\x08\x0e-\x1f]*)?")
"""How a file of JSON texts starts. A binary file soon has a NUL: SQLite's log starts with a 7."""
_START_BYTES = 64


class NdjsonStore(Store):
    """Appends to a file, at least once: an event that is delivered twice is written twice.

    Each batch, and the name of a new file, is durable (fsync). Several processes can append to one
    file. It is opened for each batch, so that it is created again after log rotation has renamed
    it; no signal is needed.
    """

    exactly_once = False

    def __init__(self, path: Path) -> None:
        """Raises: StoreUnavailable."""
        self._path = path
        self.probe()

    def probe(self) -> None:
        with self._locked():
            pass

    def write(self, entries: Sequence[Entry]) -> WriteResult:
        lines = _lines(entries)
        while True:
            with self._locked() as file:
                if not self._is_current(file):  # renamed while another process had the lock
                    continue
                _append(file, lines)
                # Log rotation may have renamed and packed the file during the write: the new file
                # gets the events too, because twice is safer than never.
                if self._is_current(file):
                    return WriteResult(stored=entries)

    def close(self) -> None:
        """Nothing is held between batches."""

    @contextmanager
    def _locked(self) -> Iterator[int]:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                status = os.fstat(file)
                if not stat.S_ISREG(status.st_mode):
                    raise StoreUnavailable(
                        f"{self._path} is not a regular file: choose another path, "
                        "or --store stdout and a pipe."
                    )
                fcntl.flock(file, fcntl.LOCK_EX)
                if not _START.fullmatch(os.pread(file, _START_BYTES, 0)):
                    raise StoreUnavailable(
                        f"{self._path} holds something else than events as NDJSON: "
                        "choose another path."
                    )
                if status.st_size == 0:
                    fsync_folder(self._path.parent)  # the name, too, survives a crash
                yield file
            finally:
                os.close(file)
        except OSError as error:
            raise StoreUnavailable(
                f"The store {self._path} cannot be used: {error.strerror}."
            ) from error

    def _is_current(self, file: int) -> bool:
        """Whether the path still names this file."""
        try:
            return os.path.samestat(os.fstat(file), self._path.stat())
        except FileNotFoundError:
            return False


class StdoutStore(Store):
    """Prints events, at least once.

    When the reader of a pipe has gone, BrokenPipeError is not caught here: it ends the process.
    """

    exactly_once = False

    def __init__(self) -> None:
        """Raises: StoreUnavailable."""
        self._torn = False
        self.probe()

    def probe(self) -> None:
        if sys.stdout is None:  # descriptor 1 was closed when Python started
            raise StoreUnavailable("There is no stdout to write to: it was closed at the start.")

    def write(self, entries: Sequence[Entry]) -> WriteResult:
        lines = b"\n" * self._torn + _lines(entries)
        self._torn = True  # unless all of it is written, half a line may be
        try:
            # Not through sys.stdout: its buffer would print again what has failed.
            write_all(sys.stdout.fileno(), lines)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise StoreUnavailable(f"Cannot write to stdout: {error.strerror}.") from error
        self._torn = False
        return WriteResult(stored=entries)

    def close(self) -> None:
        """Leave stdout open: it belongs to the process."""


def _append(file: int, lines: bytes) -> None:
    """Raises: OSError, and nothing was appended."""
    end = os.fstat(file).st_size
    try:
        # A crash can leave half a line: end it, so that it spoils no other event.
        torn = end > 0 and os.pread(file, 1, end - 1) != b"\n"
        write_all(file, b"\n" * torn + lines)
        os.fsync(file)
    except OSError:
        os.ftruncate(file, end)
        raise


def _lines(entries: Sequence[Entry]) -> bytes:
    # In valid JSON a line break is white space: inside a string it would be escaped.
    return b"".join(entry.body.translate(None, b"\r\n") + b"\n" for entry in entries)
