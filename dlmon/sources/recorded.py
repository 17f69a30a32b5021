"""Recorded events: NDJSON from a file or from stdin, compressed or not.

Every line that is not blank is an event, whatever it says: its bytes go out as they are, without
the line break (LF or CRLF). Reading never waits, so that a slow pipe delays neither a stop nor the
events that are there already.
"""

from __future__ import annotations

import os
import select
import sys
import zlib
from collections import deque
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import orjson

from dlmon.errors import FileError
from dlmon.event import event_id_of, id_from_body
from dlmon.runtime.closeable import Closeable
from dlmon.sources.base import PlannedEvent

STDIN = Path("-")

MAX_LINE = 16 * 1024 * 1024
"""Bytes of one line. RabbitMQ takes no larger message unless configured to (`max_message_size`)."""

_CHUNK = 256 * 1024
_GZIP = b"\x1f\x8b"  # RFC 1952 section 2.3.1
_GZIP_FORMAT = 16 + zlib.MAX_WBITS


class RecordedEvents(Closeable):
    """The events in a file, or those that come through stdin. Use as a context manager."""

    def __init__(self, path: Path) -> None:
        """path: a file of any kind, `-` for stdin.

        Raises: FileError.
        """
        self._name = "stdin" if path == STDIN else str(path)
        self._descriptor = self._open(path)
        self._close = path != STDIN
        self._chunks = self._unpacked()
        self._events: deque[bytes] = deque()
        self._line = bytearray()  # the beginning of one that is not complete
        self._lines = 0
        self._ended = False

    @property
    def descriptor(self) -> int:
        return self._descriptor

    @property
    def exhausted(self) -> bool:
        return self._ended and not self._events

    def take(self, limit: int) -> list[PlannedEvent]:
        # What is there goes out first: reading on may fail.
        if not self._events:
            self._read()
        bodies = [self._events.popleft() for _ in range(min(limit, len(self._events)))]
        return [PlannedEvent(_message_id(body), body, None) for body in bodies]

    def close(self) -> None:
        if self._close:
            os.close(self._descriptor)
            self._close = False

    def _open(self, path: Path) -> int:
        if path == STDIN:
            if sys.stdin is None:  # how Python tells that it was started without one
                raise FileError("There is no stdin to read from: it was closed at the start.")
            return sys.stdin.fileno()
        try:
            # Opening a named pipe would wait for somebody who writes to it.
            return os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise self._failed(error.strerror) from error

    def _read(self) -> None:
        """Read until there is an event, or nothing more for now."""
        for chunk in self._chunks:
            self._split(chunk)
            if self._events or not chunk:
                return
        self._ended = True
        if self._line:
            self._split(b"\n")

    def _split(self, chunk: bytes) -> None:
        head, *rest = chunk.split(b"\n")
        self._line += head
        if len(self._line) > MAX_LINE:
            raise self._failed(
                f"line {self._lines + 1} is longer than {MAX_LINE // 2**20} MiB, "
                "which is more than a message can be"
            )
        if rest:
            *complete, last = (bytes(self._line), *rest)
            self._line = bytearray(last)
            self._lines += len(complete)
            self._events += (line.removesuffix(b"\r") for line in complete if line.strip(b" \t\r"))

    def _raw(self) -> Iterator[bytes]:
        """What can be read; an empty chunk where there is nothing for now."""
        while True:
            try:
                ready, _, _ = select.select([self._descriptor], [], [], 0)
                chunk = os.read(self._descriptor, _CHUNK) if ready else None
            except OSError as error:
                raise self._failed(error.strerror) from error
            if chunk == b"":
                return
            yield chunk or b""

    def _unpacked(self) -> Iterator[bytes]:
        """`_raw`, decompressed where it begins as gzip does."""
        raw = self._raw()
        head = b""
        for chunk in raw:
            head += chunk
            if len(head) >= len(_GZIP) or not _GZIP.startswith(head):
                break
            yield b""
        chunks = chain([head], raw)
        yield from self._gunzipped(chunks) if head.startswith(_GZIP) else chunks

    def _gunzipped(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        member = None  # several may follow each other, and zeros behind the last one
        for chunk in chunks:
            if not chunk:
                yield b""
            left = chunk
            while left:
                if member is None:
                    left = left.lstrip(b"\0")
                    member = zlib.decompressobj(_GZIP_FORMAT) if left else None
                    continue
                try:
                    # A little at a time: some bytes can stand for a thousand times as many.
                    unpacked = member.decompress(left, _CHUNK)
                except zlib.error as error:
                    raise self._failed(f"the compressed data are broken ({error})") from error
                if unpacked:
                    yield unpacked
                left = member.unused_data if member.eof else member.unconsumed_tail
                member = None if member.eof else member
        if member:
            raise self._failed("the compressed data end too early")

    def _failed(self, reason: str | None) -> FileError:
        return FileError(f"Cannot read {self._name}: {reason}.")


def _message_id(body: bytes) -> str:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = None
    return event_id_of(value) or id_from_body(body)
