"""Writes valid events into one file, invalid ones into another."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from dlmon.errors import FileError
from dlmon.event_files.block import Block, Fragment, Part, in_one_line
from dlmon.event_files.input import STDIN as STDOUT
from dlmon.runtime.closeable import Closeable


class Split(Closeable):
    """Writes events as they stand in their files, each ended by LF. Use as a context manager.

    The valid events are NDJSON: one that stands on several lines is written in one. Of the invalid
    ones every byte is kept.
    """

    def __init__(self, valid: Path | None, invalid: Path | None) -> None:
        """Each a new file, `-` for stdout, None for nowhere.

        Raises: FileError when one exists: it may be the only copy of what it holds.
        """
        self._stack = ExitStack()
        try:
            self._valid = self._open(valid)
            self._invalid = self._open(invalid)
        except FileError:
            self._stack.close()
            raise
        self._unfinished = False  # the file of invalid events ends within a line

    def write(self, part: Part, invalid: Sequence[tuple[int, int]]) -> None:
        """invalid: the spans of the invalid events of a block.

        Raises: FileError.
        """
        try:
            if isinstance(part, Fragment):
                self._put_invalid(part.data)
                self._unfinished = not part.data.endswith(b"\n")
            elif part.oversized:
                if self._unfinished:
                    self._put_invalid(b"\n")
            elif part.spans is None:
                self._write_lines(part.data, invalid)
            else:
                self._write_values(part, frozenset(invalid))
            if self._valid is not None:
                self._valid.flush()  # a reader sees events as soon as they are checked
        except BrokenPipeError:
            raise
        except OSError as error:
            raise FileError(f"Cannot write events: {error.strerror}.") from error

    def close(self) -> None:
        self._stack.close()

    def _write_lines(self, data: bytes, invalid: Sequence[tuple[int, int]]) -> None:
        at = 0
        for start, end in invalid:
            self._put_valid(data[at:start])
            self._put_invalid(data[start:end] + b"\n")
            at = end + 1
        rest = data[at:]
        self._put_valid(rest if not rest or rest.endswith(b"\n") else rest + b"\n")

    def _write_values(self, block: Block, invalid: frozenset[tuple[int, int]]) -> None:
        for span in block.spans or ():
            value = block.data[slice(*span)]
            if span in invalid:
                self._put_invalid(value + b"\n")
            else:
                self._put_valid(in_one_line(value) + b"\n")

    def _put_valid(self, data: bytes) -> None:
        if self._valid is not None:
            self._valid.write(data)

    def _put_invalid(self, data: bytes) -> None:
        if self._invalid is not None:
            self._invalid.write(data)

    def _open(self, path: Path | None) -> IO[bytes] | None:
        if path is None or path == STDOUT:
            return None if path is None else sys.stdout.buffer
        try:
            return self._stack.enter_context(path.open("xb"))
        except FileExistsError as error:
            raise FileError(f"{path} exists already: name a new file to write to.") from error
        except OSError as error:
            raise FileError(f"Cannot write {path}: {error.strerror}.") from error
