"""Events as NDJSON, one a line: appended to a file, or on stdout.

A line has the bytes of the event as they came. Only line breaks between the tokens of a JSON text
are left out: they would end the line, and mean nothing there.
"""

from __future__ import annotations

import fcntl
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dlmon.errors import StoreUnavailable
from dlmon.runtime.files import fsync_folder
from dlmon.runtime.stdio import write_all
from dlmon.stores.base import Entry, Store, WriteResult


class NdjsonStore(Store):
    """Appends to a file, at least once: an event that is delivered twice is written twice.

    What was written is on the disk (fsync), and so is the name of a new file. Several processes can
    append to one file. It is opened for each batch, so that one that was moved away, as log
    rotation does, is made again, with a signal or without.
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
                if not self._is_current(file):  # moved away while another process had the lock
                    continue
                _append(file, lines)
                # One that was moved away meanwhile may have been packed before it was complete, so
                # that the new one gets the events too: twice is safer than never.
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
        """Whether the path still leads to this file."""
        try:
            return os.path.samestat(os.fstat(file), self._path.stat())
        except FileNotFoundError:
            return False


class StdoutStore(Store):
    """Prints events, at least once.

    BrokenPipeError, when whoever read them has gone, is for the caller: it ends the process.
    """

    exactly_once = False

    def __init__(self) -> None:
        """Raises: StoreUnavailable."""
        self._torn = False
        self.probe()

    def probe(self) -> None:
        if sys.stdout is None:  # how Python tells that it was started without one
            raise StoreUnavailable("There is no stdout to write to: it was closed at the start.")

    def write(self, entries: Sequence[Entry]) -> WriteResult:
        lines = b"\n" * self._torn + _lines(entries)
        self._torn = True  # unless all of it is written, half a line may be
        try:
            # Past Python's buffer, which would print again what had failed.
            write_all(sys.stdout.fileno(), lines)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise StoreUnavailable(f"Cannot write to stdout: {error.strerror}.") from error
        self._torn = False
        return WriteResult(stored=entries)

    def close(self) -> None:
        """stdout is not ours to close."""


def _append(file: int, lines: bytes) -> None:
    """Raises: OSError, and nothing was appended."""
    end = os.fstat(file).st_size
    try:
        # A crash can leave half a line; what is appended must not become part of it.
        torn = end > 0 and os.pread(file, 1, end - 1) != b"\n"
        write_all(file, b"\n" * torn + lines)
        os.fsync(file)
    except OSError:
        os.ftruncate(file, end)
        raise


def _lines(entries: Sequence[Entry]) -> bytes:
    # In a valid JSON text, line breaks are nothing but white space: in a string they are escaped.
    return b"".join(entry.body.translate(None, b"\r\n") + b"\n" for entry in entries)
