"""Recognizes, by their first bytes, data that is not JSON in UTF-8 but a well-known format."""

from __future__ import annotations

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""U+FEFF in UTF-8, which JSON text does not begin with (RFC 8259 section 8.1)."""

_SIGNATURES: tuple[tuple[str, tuple[bytes, ...]], ...] = (
    ("gzip data", (b"\x1f\x8b",)),  # RFC 1952 section 2.3.1
    ("zstd data", (b"\x28\xb5\x2f\xfd",)),  # RFC 8878 section 3.1.1
    ("zlib data", (b"\x78\x01", b"\x78\x9c", b"\x78\xda")),  # RFC 1950 section 2.2
    ("bzip2 data", tuple(b"BZh%d1AY&SY" % level for level in range(1, 10))),
    ("xz data", (b"\xfd7zXZ\0",)),
    ("lz4 data", (b"\x04\x22\x4d\x18",)),
    ("snappy data", (b"\xff\x06\0\0sNaPpY",)),
    ("a zip archive", (b"PK\x03\x04", b"PK\x05\x06")),
    ("a 7z archive", (b"7z\xbc\xaf\x27\x1c",)),
    ("gzip data in base64", (b"H4sI",)),
    ("Avro data", (b"Obj\x01",)),
    ("Parquet data", (b"PAR1\x15",)),
    ("text in UTF-32", (b"\xff\xfe\0\0", b"\0\0\xfe\xff")),  # UTF-16 begins like the first
    ("text in UTF-16", (b"\xff\xfe", b"\xfe\xff")),
    ("text with a byte order mark", (BYTE_ORDER_MARK,)),
)
# JSON begins with ASCII, so that without a byte order mark the zeros show the width.
_ZEROS = {
    (True, True, True, False): "text in UTF-32",
    (False, True, True, True): "text in UTF-32",
    (True, False): "text in UTF-16",
    (False, True): "text in UTF-16",
}


def recognize_format(data: bytes) -> str | None:
    """What data looks like that is not JSON, None when it is none of these formats."""
    for name, signatures in _SIGNATURES:
        if data.startswith(signatures):
            return name
    zeros = tuple(byte == 0 for byte in data[:4])
    return _ZEROS.get(zeros) or _ZEROS.get(zeros[:2])
