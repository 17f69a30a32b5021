"""The bytes of a file or of stdin, decompressed where their beginning says so."""

from __future__ import annotations

import os
import select
import stat
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from dlmon.errors import FileError
from dlmon.runtime.closeable import Closeable
from dlmon.runtime.stop import Stop

STDIN = Path("-")
STDIN_NAME = "<stdin>"

PIECE_BYTES = 128 * 1024
"""The most bytes that are read, or decompressed, at once: a bomb unpacks one piece at a time."""

_GZIP = b"\x1f\x8b"  # RFC 1952 section 2.3.1
_ZSTD = b"\x28\xb5\x2f\xfd"  # RFC 8878 section 3.1.1
_ZSTD_SKIPPABLE = b"\x2a\x4d\x18"  # section 3.1.2, behind a byte of 0x50 to 0x5f
_MAGIC_BYTES = 4
_POLL_MS = 100


class Input(Closeable):
    """An open file, or stdin. Use as a context manager.

    `read` is how many of the `size` bytes of the file (None where nobody knows) were read so far,
    before decompression.
    """

    def __init__(self, path: Path, stop: Stop) -> None:
        """path: `-` for stdin. stop: ends waiting for more, as if there were no more.

        Raises: FileError when it cannot be opened.
        """
        self.name = name_of(path)
        self._stop = stop
        self.read = 0
        self.size: int | None = None
        if path == STDIN and sys.stdin is None:  # how Python tells that it was started without one
            raise FileError("There is no stdin to read: it was closed at the start.")
        try:
            # Its own descriptor: closing it leaves stdin open.
            self._descriptor = (
                os.dup(sys.stdin.fileno()) if path == STDIN else os.open(path, os.O_RDONLY)
            )
        except OSError as error:
            raise FileError(f"Cannot read {self.name}: {error.strerror}.") from error
        status = os.fstat(self._descriptor)
        if stat.S_ISDIR(status.st_mode):
            os.close(self._descriptor)
            raise FileError(f"{self.name} is a folder without any file that --glob matches.")
        self._may_wait = not stat.S_ISREG(status.st_mode)
        if not self._may_wait:
            self.size = status.st_size

    def pieces(self) -> Iterator[bytes]:
        """What the file holds, decompressed, in pieces of 1 to `PIECE_BYTES` bytes.

        Raises: FileError when it cannot be read on, or what is compressed is damaged or ends early.
        """
        raw = self._raw()
        head = b""
        for piece in raw:
            head += piece
            if len(head) >= _MAGIC_BYTES:
                break
        if head.startswith(_GZIP):
            yield from self._unpacked(head, raw, _gzip())
        elif head.startswith(_ZSTD) or (head[1:4] == _ZSTD_SKIPPABLE and head[0] >> 4 == 5):
            yield from self._unpacked(head, raw, _zstd())
        elif head:
            yield head
            yield from raw

    def close(self) -> None:
        os.close(self._descriptor)

    def _raw(self) -> Iterator[bytes]:
        while True:
            if self._may_wait and not self._wait():
                return
            try:
                piece = os.read(self._descriptor, PIECE_BYTES)
            except OSError as error:
                raise FileError(f"Cannot read {self.name}: {error.strerror}.") from error
            if not piece:
                return
            self.read += len(piece)
            yield piece

    def _wait(self) -> bool:
        """Wait for more from a pipe or a terminal; False when a stop was asked for."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        while not self._stop.requested:
            if poll.poll(_POLL_MS):
                return True
        return False

    def _unpacked(self, head: bytes, raw: Iterator[bytes], packed: _Packed) -> Iterator[bytes]:
        data = head
        while data:  # a gzip member or a zstd frame; any number of them follow each other
            unpacker = packed.unpacker()
            while not unpacker.eof:
                if unpacker.needs_input and not (data := data or next(raw, b"")):
                    reason = (
                        f"Cannot read {self.name} to its end: its {packed.name} data is cut off."
                    )
                    raise FileError(reason)
                try:
                    piece = unpacker.decompress(data, PIECE_BYTES)
                except packed.error as error:
                    reason = (
                        f"Cannot read {self.name}: its {packed.name} data is damaged ({error})."
                    )
                    raise FileError(reason) from error
                data = b""
                if piece:
                    yield piece
            data = unpacker.unused_data
            # Tapes and disks pad with zeros.
            while not (data := data.lstrip(b"\0")) and (data := next(raw, b"")):
                pass


def name_of(path: Path) -> str:
    """The name of a file for people; bytes in it that are no UTF-8 become question marks."""
    return STDIN_NAME if path == STDIN else os.fsencode(path).decode(errors="replace")


def total_size(paths: Iterable[Path]) -> int | None:
    """Bytes of all files together, None if one of them is no regular file."""
    total = 0
    for path in paths:
        if path == STDIN or not path.is_file():
            return None
        total += path.stat().st_size
    return total


class _Unpacker(Protocol):
    """What the decompressors of the standard library have in common, less those of zlib."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Packed(NamedTuple):
    """A way of compressing, and what takes one part of it that stands by itself apart."""

    name: str
    unpacker: Callable[[], _Unpacker]
    error: type[Exception]


class _GzipMember:
    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=31)
        self._full = False

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail and not self._full

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        piece = self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)
        self._full = len(piece) == max_length  # zlib may hold more, also without further input
        return piece


def _gzip() -> _Packed:
    return _Packed("gzip", _GzipMember, zlib.error)


def _zstd() -> _Packed:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    # A frame can ask for 128 MB of memory, and for more it is refused: as zstd itself does.
    return _Packed("zstd", zstd.ZstdDecompressor, zstd.ZstdError)
