"""How events are laid out in a file, detected from its beginning."""

from __future__ import annotations

from enum import StrEnum

import orjson

from dlmon.event_files.block import WHITESPACE
from dlmon.validation.data_formats import BYTE_ORDER_MARK, SIGNATURES

_UTF_16_OR_32 = (b"\xff\xfe", b"\xfe\xff", b"{\0", b"[\0", b"\0{", b"\0[")
_TEXTS = ("UTF-32", "UTF-16", "UTF-8 with a byte order mark", "base64 of gzip")
_BINARIES = {name: magics for name, magics in SIGNATURES.items() if name not in _TEXTS}


class Layout(StrEnum):
    """NDJSON has one event a line; JSON has any number of texts, one after the other.

    In the layout `array`, each element of a text that is an array is an event.
    """

    NDJSON = "ndjson"
    JSON = "json"
    ARRAY = "array"


def detect(head: bytes, *, final: bool) -> Layout | None:
    """The layout of a file that begins like this; None where that takes more of it.

    final: this is all of the file.
    """
    text = head.removeprefix(BYTE_ORDER_MARK).lstrip(WHITESPACE)
    if not text.startswith((b"{", b"[")):
        return Layout.NDJSON if text or final else None
    first, ended, rest = text.partition(b"\n")
    if not ended and not final:
        return None
    stop = _stops_at(first)
    if text.startswith(b"{") and stop is None:
        return Layout.NDJSON
    second, ended, _ = rest.lstrip(WHITESPACE).partition(b"\n")
    if not ended and not final:
        return None
    if text.startswith(b"["):
        # An array alone on its line is an array of events, unless more lines follow.
        return Layout.NDJSON if stop is None and second else Layout.ARRAY
    if second:
        # Several lines are one text if the first only breaks off, and is not broken otherwise.
        together = first + b"\n" + second + b"\n"
        broken_later = stop == len(first) and _stops_at(second) is not None
        several = broken_later or _stops_at(together) in (None, len(together))
    else:
        several = _stops_at(first[:stop]) is None and first[slice(stop, None)].startswith(b"{")
    return Layout.JSON if several else Layout.NDJSON


def detect_other_data(head: bytes) -> str | None:
    """What a file that begins like this holds, if that cannot be split into JSON texts.

    Compressed data is here what was compressed twice, or in a way that dlmon does not read.
    """
    if head.startswith(_UTF_16_OR_32):
        return "UTF-16 or UTF-32"
    for name, magics in _BINARIES.items():
        if head.startswith(magics):
            return f"{name} data"
    return None


def _stops_at(text: bytes) -> int | None:
    """The byte at which a text stops being the beginning of a JSON text; None where it is one."""
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return len(text.decode(errors="replace")[: error.pos].encode())
    return None
