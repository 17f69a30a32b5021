"""The properties of a message as AMQP 0-9-1 encodes them (sections 4.2.5 and 4.2.6).

pika does the same in four times the time, which a rejection with its ten headers takes each time.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from functools import lru_cache

from dlmon.messages import HeaderValue, Message

_CONTENT_TYPE = 1 << 15
_CONTENT_ENCODING = 1 << 14
_HEADERS = 1 << 13
_DELIVERY_MODE = 1 << 12
_CORRELATION_ID = 1 << 10
_MESSAGE_ID = 1 << 7
_TYPE = 1 << 5
_APP_ID = 1 << 3

_PERSISTENT = b"\x02"
_LONG = struct.Struct(">cL")
_INT = struct.Struct(">ci")
_INT64 = struct.Struct(">cq")
_INTS = range(-(2**31), 2**31)


def encode_properties(message: Message, message_id: str) -> bytes:
    """The properties of a persistent message. message_id: in place of its own.

    Raises: ValueError for a text of more than 255 bytes that has to be a short one; struct.error
    for an integer of more than 64 bits.
    """
    flags = _DELIVERY_MODE | _MESSAGE_ID
    parts = [b""]
    if message.content_type is not None:
        flags |= _CONTENT_TYPE
        parts.append(_short(message.content_type))
    if message.content_encoding is not None:
        flags |= _CONTENT_ENCODING
        parts.append(_short(message.content_encoding))
    if message.headers:
        flags |= _HEADERS
        parts.append(_table(message.headers))
    parts.append(_PERSISTENT)
    if message.correlation_id is not None:
        flags |= _CORRELATION_ID
        parts.append(_short(message.correlation_id))
    parts.append(_short(message_id))
    if message.type is not None:
        flags |= _TYPE
        parts.append(_short(message.type))
    if message.app_id is not None:
        flags |= _APP_ID
        parts.append(_short(message.app_id))
    parts[0] = flags.to_bytes(2)
    return b"".join(parts)


def _table(headers: Mapping[str, HeaderValue]) -> bytes:
    parts: list[bytes] = []
    for name, value in headers.items():
        parts.append(_name(name))
        if isinstance(value, str):
            text = value.encode()
            parts += (_LONG.pack(b"S", len(text)), text)
        elif isinstance(value, bool):
            parts.append(b"t\x01" if value else b"t\x00")
        else:
            parts.append(_INT.pack(b"I", value) if value in _INTS else _INT64.pack(b"l", value))
    table = b"".join(parts)
    return len(table).to_bytes(4) + table


@lru_cache(64)
def _name(name: str) -> bytes:
    return _short(name)


def _short(text: str) -> bytes:
    encoded = text.encode()
    if len(encoded) > 255:
        raise ValueError(f"{len(encoded)} bytes are too many for a short string")
    return b"%c%b" % (len(encoded), encoded)
