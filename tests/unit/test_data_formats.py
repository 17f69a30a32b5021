"""A body that is packed, or in another encoding, says so in its reason."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import lzma
import sys
import zipfile
import zlib

import pytest

from dlmon.validation.data_formats import recognize_format
from dlmon.validation.schema import load_schema
from dlmon.validation.validator import Validator
from dlmon.validation.violations import NOT_JSON, NOT_UTF8
from tests.support.events import make_body

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

BODY = make_body()
TEXT = BODY.decode()


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("event.json", BODY)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("body", "looks_like"),
    [
        (gzip.compress(BODY), "gzip"),
        (zstd.compress(BODY), "zstd"),
        (bz2.compress(BODY), "bzip2"),
        (lzma.compress(BODY), "xz"),
        (zlib.compress(BODY), "zlib"),
        (zlib.compress(BODY, 9), "zlib"),
        (zipped(), "zip"),
        (base64.b64encode(gzip.compress(BODY)), "base64 of gzip"),
        (b"\x04\x22\x4d\x18\x64\x40\xa7", "lz4"),
        (b"\xff\x06\x00\x00sNaPpY\x01", "snappy"),
        (b"Obj\x01\x04\x14", "Avro"),
        (TEXT.encode("utf-16"), "UTF-16"),
        (TEXT.encode("utf-16-be"), "UTF-16"),
        (TEXT.encode("utf-16-le"), "UTF-16"),
        (TEXT.encode("utf-32"), "UTF-32"),
        (TEXT.encode("utf-32-be"), "UTF-32"),
        (TEXT.encode("utf-32-le"), "UTF-32"),
        (TEXT.encode("utf-8-sig"), "UTF-8 with a byte order mark"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",  # archives have the time in them
)
def test_a_body_that_is_packed_says_what_it_looks_like(body: bytes, looks_like: str) -> None:
    (violation,) = Validator(load_schema()).validate(body).violations
    assert violation.code in (NOT_UTF8, NOT_JSON)
    assert violation.reason.startswith(f"looks like {looks_like}: ")
    assert violation.offset is not None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"x",
        b"BZhello",
        b"PKW",
        b"x^2",
        b"\x1f",
        b"H4",
        b"\xff",
        b"\x00",
        TEXT[1:].encode(),
    ],
)
def test_nothing_is_said_of_what_could_be_anything(body: bytes) -> None:
    assert recognize_format(body) is None
    (violation, *_) = Validator(load_schema()).validate(body).violations
    assert "looks like" not in violation.reason
