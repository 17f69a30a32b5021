"""Text that is written now and read later, in a temporary file once it is long."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Iterator
from tempfile import TemporaryFile
from typing import IO

from dlmon.runtime.closeable import Closeable
from dlmon.runtime.stdio import write_all

MAX_IN_MEMORY = 4 * 1024 * 1024
"""Characters that are kept in memory, as long as there is room in a temporary file."""

_PIECE_BYTES = 64 * 1024


class Spool(Closeable):
    """Keeps text until it is drained. Use as a context manager.

    Without room for a temporary file, the text stays in memory.
    """

    def __init__(self) -> None:
        self._memory: list[str] = []
        self._size = 0  # characters in memory
        self._limit = MAX_IN_MEMORY
        self._file: IO[bytes] | None = None
        self._written = 0  # bytes of the file that are text; a failed write may leave more behind

    def write(self, text: str) -> None:
        """Keep a text."""
        self._memory.append(text)
        self._size += len(text)
        if self._size >= self._limit:
            self._move_to_file()

    def drain(self) -> Iterator[str]:
        """All text, in its order. Read it to the end: the spool then is empty."""
        if self._file is not None:
            decoder = codecs.getincrementaldecoder("utf-8")()
            self._file.seek(0)
            left = self._written
            while left:
                piece = self._file.read(min(left, _PIECE_BYTES))
                left -= len(piece)
                yield decoder.decode(piece)
            self._file.truncate(0)
            self._written = 0
        yield from self._memory
        self._memory.clear()
        self._size = 0
        self._limit = MAX_IN_MEMORY

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _move_to_file(self) -> None:
        data = "".join(self._memory).encode()
        try:
            if self._file is None:
                self._file = TemporaryFile(buffering=0)  # noqa: SIM115  (until `close`)
            self._file.seek(self._written)
            write_all(self._file.fileno(), data)
        except OSError:  # no room, no descriptor or no folder for temporary files
            self._limit = sys.maxsize
            return
        self._written += len(data)
        self._memory.clear()
        self._size = 0
