"""What the standard library lacks for files."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from dlmon.errors import FileError
from dlmon.runtime.closeable import Closeable
from dlmon.runtime.stdio import write_all


class AppendedLines(Closeable):
    """A file that JSON objects are appended to, one a line. Use as a context manager.

    Each write reaches the operating system at once: it survives the end of the process.
    """

    def __init__(self, path: Path, name: str) -> None:
        """name: of the file in words, such as `the ledger`.

        Raises: FileError.
        """
        self._path = path
        self._name = name
        try:
            self._file = path.open("ab", buffering=0)
            end = self._end()
            if end not in (b"", b"\n"):  # a killed process left a part of a line
                write_all(self._file.fileno(), b"\n")
        except OSError as error:
            raise self._failed(error) from error

    def append(self, lines: bytes) -> None:
        """lines: whole ones, each with its end.

        Raises: FileError; a part of them may be written then.
        """
        try:
            write_all(self._file.fileno(), lines)
        except OSError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        self._file.close()

    def _end(self) -> bytes:
        """The last byte of a file; empty where there is none, or no end.

        Raises: FileError for a file of something else than JSON lines, which they would spoil.
        """
        status = os.fstat(self._file.fileno())
        if not stat.S_ISREG(status.st_mode) or not status.st_size:
            return b""
        with self._path.open("rb", buffering=0) as file:
            # Its lines are JSON objects, and the first one was written whole.
            if os.pread(file.fileno(), 1, 0) != b"{":
                self.close()
                raise FileError(
                    f"Cannot write {self._name} {self._path}: it holds something else than JSON "
                    "lines. Choose another path."
                )
            return os.pread(file.fileno(), 1, status.st_size - 1)

    def _failed(self, error: OSError) -> FileError:
        return FileError(f"Cannot write {self._name} {self._path}: {error.strerror}.")


def fsync_folder(path: Path) -> None:
    """Make the names in a folder durable, as fsync(2) of a file makes its content.

    Raises: OSError.
    """
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_at_most(path: Path, limit: int) -> bytes:
    """The content of a file of no more than `limit` bytes, which /dev/zero and a wrong path may be.

    Raises: OSError, EFBIG for a larger one.
    """
    with path.open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"it has more than {limit:,} bytes", str(path))
    return content
