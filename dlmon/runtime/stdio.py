"""Standard streams that work, and writes that are complete.

write(2) may write a part: when a signal arrives while a pipe is full, when a disk gets full, when
another process made the pipe non-blocking. Python's unbuffered files lose the rest, and with
PYTHONUNBUFFERED, which many container images set, stdout is one of them.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

from dlmon.errors import FileError
from dlmon.runtime.polling import wait_until_ready

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

STDERR = 2
"""The descriptor. `sys.stderr` is None where it was closed when Python started."""


def write_all(descriptor: int, data: ReadableBuffer) -> None:
    """Write all of `data`, waiting while the descriptor is full.

    Raises: OSError; part of the data may be written then.
    """
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(descriptor, left) :]
        except BlockingIOError:
            wait_until_ready(writable=(descriptor,))


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a standard stream is a terminal. None is one that was closed when Python started."""
    return stream is not None and stream.isatty()


def install_reliable_streams() -> None:
    """Replace `sys.stdout` and `sys.stderr`, and open what is closed of descriptors 0, 1 and 2.

    From now on stdout writes all that it is given, or raises FileError or BrokenPipeError; it stays
    None where it was closed. stderr writes what can be written, and never raises.
    """
    _reserve_descriptors()
    if sys.stdout is not None:
        unbuffered = isinstance(sys.stdout.buffer, io.RawIOBase)
        sys.stdout = io.TextIOWrapper(
            io.BufferedWriter(_Stdout(sys.stdout.fileno())),
            encoding=sys.stdout.encoding,
            errors="backslashreplace",  # where a locale lacks a character
            line_buffering=unbuffered or bool(sys.stdout.line_buffering),
        )
    sys.stderr = io.TextIOWrapper(
        io.BufferedWriter(_Stderr(STDERR)),
        encoding="utf-8" if sys.stderr is None else sys.stderr.encoding,
        errors="backslashreplace",
        line_buffering=True,
    )


def _reserve_descriptors() -> None:
    """Open those of 0, 1 and 2 that are closed, to nothing.

    Otherwise the next file that is opened gets such a number: a database, into which whatever
    writes to stderr would write.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= STDERR:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


class _Stream(io.RawIOBase):
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)


class _Stdout(_Stream):
    name = "<stdout>"

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        self._failed = False

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


class _Stderr(_Stream):
    name = "<stderr>"

    def write(self, data: ReadableBuffer, /) -> int:
        # A log that cannot be written must not end the work that it is about, and there is no
        # other place where this could be said.
        with suppress(OSError):
            write_all(self._descriptor, data)
        return memoryview(data).nbytes
