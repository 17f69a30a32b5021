"""Compressed data: recognized by its first bytes, and decompressed in bounded memory."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dlmon.validation.data_formats import SIGNATURES

_SUFFIXES = {".gz": "gzip", ".zst": "zstd"}


class DamagedData(Exception):
    """Compressed data is not what its format says."""


class UnreadableData(Exception):
    """Compressed data needs what dlmon does not have. Its text says what to do."""


class Decompressor(Protocol):
    """Decompresses one gzip member or one zstd frame.

    `decompress` returns at most `max_length` bytes and keeps the rest of the input; it raises
    `DamagedData` and `UnreadableData`. Where `needs_input` is False, it can be called with no data.
    """

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Compression:
    """A way of compressing. magics: how its data begins. new: None where dlmon does not read it,
    and a shell does by `unpack_command`."""

    name: str
    magics: tuple[bytes, ...]
    new: Callable[[], Decompressor] | None = None
    unpack_command: str = ""


def detect_compression(head: bytes) -> tuple[Compression | None, bool]:
    """How data that begins like this is compressed, and whether that is certain: more of the data
    could change the answer where it is not."""
    for compression in _COMPRESSIONS:
        if head.startswith(compression.magics):
            return compression, True
    return None, not any(magic.startswith(head) for one in _COMPRESSIONS for magic in one.magics)


def decompressor_for(encoding: str, data: bytes) -> Callable[[], Decompressor] | None:
    """What decompresses data with this content encoding (RFC 9110 section 8.4.1, RFC 8878), None
    where the encoding is no compression, or one that dlmon does not read."""
    if encoding == "deflate":
        # Meant is the zlib format; some senders leave its header out. RFC 1950 section 2.2.
        has_header = len(data) > 1 and data[0] & 15 == 8 and int.from_bytes(data[:2]) % 31 == 0
        return lambda: _ZlibStream(15 if has_header else -15)
    return _BY_ENCODING.get(encoding)


def compression_named_by(path: Path) -> str | None:
    """The compression that the name of a file promises. Only its content decides."""
    return _SUFFIXES.get(path.suffix.lower())


class _ZlibStream:
    def __init__(self, wbits: int) -> None:
        """wbits: the container, as `zlib.decompressobj` takes it."""
        self._zlib = zlib.decompressobj(wbits)
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
        try:
            piece = self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)
        except zlib.error as error:
            raise DamagedData(str(error)) from error
        self._full = len(piece) == max_length  # zlib may hold more, also without further input
        return piece


class _GzipMember(_ZlibStream):
    def __init__(self) -> None:
        super().__init__(wbits=31)


class _ZstdFrame:
    def __init__(self) -> None:
        # Imported where it is used: most files are not compressed.
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
        # A frame that asks for more than 128 MB of memory is refused, as by the zstd command.
        self._zstd = zstd.ZstdDecompressor()
        self._error = zstd.ZstdError

    @property
    def eof(self) -> bool:
        return self._zstd.eof

    @property
    def needs_input(self) -> bool:
        return self._zstd.needs_input

    @property
    def unused_data(self) -> bytes:
        return self._zstd.unused_data

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        try:
            return self._zstd.decompress(data, max_length)
        except self._error as error:
            for reason, how in _UNREADABLE_ZSTD.items():
                if reason in str(error):
                    raise UnreadableData(how) from error
            raise DamagedData(str(error)) from error


# By what libzstd says (zstd, lib/common/error_private.c).
_UNREADABLE_ZSTD = {
    "requires too much memory": "asks for more than 128 MB of memory; unpack it first, with "
    "`zstd -dc --long=31`",
    "Dictionary mismatch": "was compressed with a dictionary; unpack it first, with "
    "`zstd -dc -D DICTIONARY`",
}

_BY_ENCODING: dict[str, Callable[[], Decompressor]] = {
    "gzip": _GzipMember,
    "x-gzip": _GzipMember,
    "zstd": _ZstdFrame,
}

_COMPRESSIONS = (
    Compression("gzip", SIGNATURES["gzip"], _GzipMember),
    Compression("zstd", SIGNATURES["zstd"], _ZstdFrame),
    Compression("bzip2", SIGNATURES["bzip2"], None, "bzip2 -dc"),
    Compression("xz", SIGNATURES["xz"], None, "xz -dc"),
    Compression("lz4", SIGNATURES["lz4"], None, "lz4 -dc"),
    Compression("zip", SIGNATURES["zip"], None, "unzip -p"),
)
