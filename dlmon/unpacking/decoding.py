"""Content encodings: gzip, zstd and deflate, undone within bounds."""

from __future__ import annotations

from collections.abc import Callable

from dlmon.event_files.block import WHITESPACE
from dlmon.event_files.compression import (
    DamagedData,
    Decompressor,
    UnreadableData,
    decompressor_for,
)
from dlmon.validation.data_formats import recognize_format
from dlmon.validation.violations import TOO_LARGE, UNDECODABLE_BODY, Violation


def decode(body: bytes, encoding: str | None, max_bytes: int) -> bytes | Violation | None:
    """The body before it was encoded, or why it cannot be had; None where it is not encoded.

    encoding: as the message names it. Names of character sets and others that are no compression
    are passed over, and so is any of a body that is JSON as it is. max_bytes: of the result; no
    more than these are ever in memory.
    """
    name = (encoding or "").strip().lower()
    new = decompressor_for(name, body)
    if new is None:
        return None
    try:
        decoded = _decompress(body, new, max_bytes)
    except (DamagedData, UnreadableData) as error:
        if body.lstrip(WHITESPACE).startswith((b"{", b"[")):
            return None  # what unpacks messages on their way may leave the property behind
        form = recognize_format(body)
        why = f"it looks like {form}" if form and form != name else str(error)
        return Violation(UNDECODABLE_BODY, "", f"the content encoding is {name}, but {why}")
    if decoded is None:
        reason = f"more than the limit of {max_bytes} bytes once it is unpacked"
        return Violation(TOO_LARGE, "", reason)
    return decoded


def _decompress(body: bytes, new: Callable[[], Decompressor], max_bytes: int) -> bytes | None:
    """All members or frames of a body, one after the other; None where they have too many bytes.

    Raises: DamagedData, UnreadableData.
    """
    pieces: list[bytes] = []
    size = 0
    rest = body
    while rest or not pieces:
        decompressor = new()
        while not decompressor.eof:
            piece = decompressor.decompress(rest, max_bytes - size + 1)
            rest = b""
            pieces.append(piece)
            size += len(piece)
            if size > max_bytes:
                return None
            if not piece and decompressor.needs_input and not decompressor.eof:
                raise DamagedData("the data ends early")
        rest = decompressor.unused_data
    return b"".join(pieces)
