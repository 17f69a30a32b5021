"""Recognizes, by their first bytes, data that is not JSON in UTF-8 but a well-known format."""

from __future__ import annotations

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""U+FEFF in UTF-8, which JSON text does not begin with (RFC 8259 section 8.1)."""

SIGNATURES: dict[str, tuple[bytes, ...]] = {
    "gzip": (b"\x1f\x8b",),  # RFC 1952 section 2.3.1
    "zstd": (
        b"\x28\xb5\x2f\xfd",  # RFC 8878 section 3.1.1
        *(bytes((low,)) + b"\x2a\x4d\x18" for low in range(0x50, 0x60)),  # 3.1.2, skippable
    ),
    "zlib": (b"\x78\x01", b"\x78\x9c", b"\x78\xda"),  # RFC 1950 section 2.2
    "bzip2": tuple(b"BZh%d1AY&SY" % level for level in range(1, 10)),
    "xz": (b"\xfd7zXZ\0",),
    "lz4": (b"\x04\x22\x4d\x18",),
    "snappy": (b"\xff\x06\0\0sNaPpY",),
    "zip": (b"PK\x03\x04", b"PK\x05\x06"),
    "7z": (b"7z\xbc\xaf\x27\x1c",),
    "base64 of gzip": (b"H4sI",),
    "Avro": (b"Obj\x01",),
    "Parquet": (b"PAR1\x15",),
    "UTF-32": (b"\xff\xfe\0\0", b"\0\0\xfe\xff"),  # before UTF-16, which begins like the first
    "UTF-16": (b"\xff\xfe", b"\xfe\xff"),
    "UTF-8 with a byte order mark": (BYTE_ORDER_MARK,),
}
"""How data begins, by format."""

# JSON begins with ASCII, so that without a byte order mark the zeros show the width.
_ZEROS = {
    (True, True, True, False): "UTF-32",
    (False, True, True, True): "UTF-32",
    (True, False): "UTF-16",
    (False, True): "UTF-16",
}


def recognize_format(data: bytes) -> str | None:
    """The format of data that is not JSON, None when it is none of these."""
    for name, signatures in SIGNATURES.items():
        if data.startswith(signatures):
            return name
    zeros = tuple(byte == 0 for byte in data[:4])
    return _ZEROS.get(zeros) or _ZEROS.get(zeros[:2])
