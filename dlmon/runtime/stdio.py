"""Writes that are complete.

write(2) may write a part: when a signal arrives while a pipe is full, when a disk gets full, when
another process made the pipe non-blocking. Python's unbuffered files lose the rest, and with
PYTHONUNBUFFERED, which many container images set, stdout is one of them.
"""

from __future__ import annotations

import io
import os
import select
import sys
from typing import TYPE_CHECKING

from dlmon.errors import FileError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


def write_all(descriptor: int, data: ReadableBuffer) -> None:
    """Write all of `data`, waiting while the descriptor is full.

    Raises: OSError; part of the data may be written then.
    """
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(descriptor, left) :]
        except BlockingIOError:
            poll = select.poll()
            poll.register(descriptor, select.POLLOUT)
            poll.poll()


def install_reliable_stdout() -> None:
    """From now on, `sys.stdout` writes all it is given, or raises FileError or BrokenPipeError."""
    given = sys.stdout
    if given is None:  # what Python has in place of a descriptor that was closed at the start
        return
    unbuffered = isinstance(given.buffer, io.RawIOBase)
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_Stdout(given.fileno())),
        encoding=given.encoding,
        errors="backslashreplace",  # where a locale lacks a character
        line_buffering=unbuffered or bool(given.line_buffering),
    )


class _Stdout(io.RawIOBase):
    name = "<stdout>"

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._failed = False

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, data: ReadableBuffer, /) -> int:
        # Python's buffer writes what has failed again at exit: one error is enough.
        if not self._failed:
            self._failed = True
            try:
                write_all(self._descriptor, data)
            except BrokenPipeError:
                raise
            except OSError as error:
                raise FileError(f"Cannot write to stdout: {error.strerror}.") from error
            self._failed = False
        return memoryview(data).nbytes
