"""The bytes of a file or of stdin, decompressed where they begin like gzip or zstd data.

Compression is recognized by content, never by name: exports are renamed and piped.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from dlmon.errors import FileError
from dlmon.event_files.compression import (
    Compression,
    DamagedData,
    Decompressor,
    UnreadableData,
    compression_named_by,
    detect_compression,
)
from dlmon.runtime.closeable import Closeable
from dlmon.runtime.polling import wait_until_ready
from dlmon.runtime.stop import Stop

STDIN = Path("-")
STDIN_NAME = "<stdin>"

PIECE_BYTES = 128 * 1024
"""The most bytes that are read, or decompressed, at once: a bomb unpacks one piece at a time."""

MAX_LINE_BYTES = 64 * 1024 * 1024
"""The longest line that `Input.lines` gives."""

_TICK = 0.1  # seconds


class Input(Closeable):
    """An open file, or stdin. Use as a context manager.

    `read` counts the bytes read so far, before decompression; `size` is how many the file has, None
    where that is unknown. `idle` is True where the last piece was empty: there was nothing to read.
    """

    def __init__(self, path: Path, stop: Stop | None = None, *, blocking: bool = True) -> None:
        """path: `-` for stdin. stop: a stop request ends the input early. blocking: wait for a slow
        pipe; otherwise `pieces` gives an empty piece each time there is nothing to read yet.

        Raises: FileError when it cannot be opened.
        """
        self.name = name_of(path)
        self.read = 0
        self.size: int | None = None
        self.idle = False
        self._stop = stop
        self._blocking = blocking
        self._named = compression_named_by(path)
        self._descriptor: int | None = self._open(path)
        status = os.fstat(self._descriptor)
        if stat.S_ISDIR(status.st_mode):
            self.close()
            raise FileError(f"Cannot read {self.name}: it is a folder.")
        self._can_block = not stat.S_ISREG(status.st_mode)
        if not self._can_block:
            self.size = status.st_size

    @property
    def descriptor(self) -> int:
        """Readable once there is more to read, or the end."""
        assert self._descriptor is not None, "closed"  # noqa: S101
        return self._descriptor

    def pieces(self) -> Iterator[bytes]:
        """The content, decompressed, in pieces of at most `PIECE_BYTES` bytes.

        Raises: FileError when it cannot be read, or compressed data is damaged or ends early.
        """
        raw = self._raw()
        head = b""
        compression: Compression | None = None
        for piece in raw:
            if not piece:
                yield b""
                continue
            head += piece
            compression, certain = detect_compression(head)
            if certain:
                break
        if compression is None:
            if not head and self._named is not None:
                raise FileError(
                    f"Cannot read {self.name}: it is empty, where {self._named} data is never "
                    "empty. It was not written to its end."
                )
            if head:
                yield head
            yield from raw
        elif compression.new is None:
            raise FileError(
                f"Cannot read {self.name}: it is {compression.name} data. Unpack it first, with "
                f"`{compression.unpack_command}`."
            )
        else:
            yield from self._decompressed(head, raw, compression.name, compression.new)

    def lines(self) -> Iterator[bytes]:
        """The content, line by line, without LF. For blocking inputs.

        Raises: FileError as `pieces` does, and for a line of more than `MAX_LINE_BYTES`.
        """
        number = 1
        rest: list[bytes] = []
        size = 0
        for piece in self.pieces():
            first, *others = piece.split(b"\n")
            rest.append(first)
            size += len(first)
            if size > MAX_LINE_BYTES:
                limit = f"{MAX_LINE_BYTES // 2**20} MiB"
                raise FileError(f"Cannot read {self.name}: line {number} is longer than {limit}.")
            if others:
                yield b"".join(rest)
                yield from others[:-1]
                number += len(others)
                rest, size = [others[-1]], len(others[-1])
        if last := b"".join(rest):
            yield last

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self, path: Path) -> int:
        try:
            if path != STDIN:
                # O_NONBLOCK: opening a named pipe would wait until another process writes to it.
                return os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            if sys.stdin is None:  # Python's sign that the process was started without one
                raise FileError("There is no stdin to read: it was closed at the start.")
            return os.dup(sys.stdin.fileno())  # closing the duplicate leaves stdin open
        except OSError as error:
            raise self._failed(error) from error

    def _raw(self) -> Iterator[bytes]:
        """What the file holds; an empty piece where there is nothing to read yet."""
        while True:
            if self._can_block and not self._poll():
                if self._blocking:
                    return  # a stop was requested
                self.idle = True
                yield b""
                continue
            self.idle = False
            try:
                piece = os.read(self.descriptor, PIECE_BYTES)
            except BlockingIOError:  # another process was faster
                continue
            except OSError as error:
                raise self._failed(error) from error
            if not piece:
                return
            self.read += len(piece)
            yield piece

    def _poll(self) -> bool:
        """Whether there is something to read, or the end. If blocking, wait for it or for a stop.

        Raises: FileError.
        """
        if not self._blocking:
            return bool(wait_until_ready((self.descriptor,), seconds=0))
        while self._stop is None or not self._stop.requested:
            if wait_until_ready((self.descriptor,), seconds=_TICK):
                return True
        return False

    def _decompressed(
        self, head: bytes, raw: Iterator[bytes], compression: str, new: Callable[[], Decompressor]
    ) -> Iterator[bytes]:
        data = head
        while data:  # any number of gzip members or zstd frames may follow each other
            decompressor = new()
            while not decompressor.eof:
                if decompressor.needs_input and not data:
                    more = next(raw, None)
                    if more is None:
                        reason = f"its {compression} data is cut off"
                        raise FileError(f"Cannot read {self.name} to its end: {reason}.")
                    if not more:
                        yield b""
                        continue
                    data = more
                try:
                    piece = decompressor.decompress(data, PIECE_BYTES)
                except DamagedData as error:
                    reason = f"its {compression} data is damaged ({error})"
                    raise FileError(f"Cannot read {self.name}: {reason}.") from error
                except UnreadableData as error:
                    reason = f"its {compression} data {error}"
                    raise FileError(f"Cannot read {self.name}: {reason}.") from error
                data = b""
                if piece:
                    yield piece
            data = decompressor.unused_data.lstrip(b"\0")  # tapes and disks pad with zeros
            while not data and (more := next(raw, None)) is not None:
                if not more:
                    yield b""
                data = more.lstrip(b"\0")

    def _failed(self, error: OSError) -> FileError:
        return FileError(f"Cannot read {self.name}: {error.strerror}.")


def name_of(path: Path) -> str:
    """The name of a file for people; bytes in it that are not UTF-8 become question marks."""
    return STDIN_NAME if path == STDIN else os.fsencode(path).decode(errors="replace")


def total_size(paths: Iterable[Path]) -> int | None:
    """Bytes of all files together, None if one of them is not a regular file."""
    total = 0
    for path in paths:
        try:
            status = None if path == STDIN else path.stat()
        except OSError:  # opening it will say why
            return None
        if status is None or not stat.S_ISREG(status.st_mode):
            return None
        total += status.st_size
    return total
