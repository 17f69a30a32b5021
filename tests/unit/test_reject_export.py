from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlmon.errors import FileError
from dlmon.rejects.export import RejectsFile, from_record, read_rejects, to_line, to_record
from dlmon.rejects.headers import MAX_KEPT_HEADERS
from dlmon.rejects.rejection import Rejection
from dlmon.validation.violations import Violation
from tests.support.rejections import AT, slow

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

DEEP: list[object] = []
for _ in range(300):
    DEEP = [DEEP]
ONE, OTHER = slow(), slow()
TEXT = st.text(max_size=20)
REJECTIONS = st.builds(
    Rejection,
    message_id=st.text(min_size=1, max_size=20),
    body=st.binary(max_size=50) | TEXT.map(str.encode),
    violations=st.lists(st.builds(Violation, TEXT, TEXT, TEXT), min_size=1, max_size=3).map(tuple),
    schema=TEXT,
    origin=TEXT,
    rejected_at=st.none() | st.integers(0, 253_402_300_799_999),
    rejected_by=TEXT,
    replays=st.integers(0, 1000),
    published_at=st.none() | st.integers(0, 253_402_300_799_999),
    headers=st.dictionaries(
        TEXT.map("h{}".format),
        TEXT | st.integers(0, 99) | st.booleans(),
        max_size=MAX_KEPT_HEADERS,
    ),
    content_type=st.none() | TEXT,
    correlation_id=st.none() | TEXT,
    raw_headers=TEXT,
    content_encoding=st.none() | TEXT,
    type=st.none() | TEXT,
    app_id=st.none() | TEXT,
)


@given(REJECTIONS)
def test_a_rejection_comes_out_of_its_line_unchanged(rejection: Rejection) -> None:
    line = to_line(rejection)
    assert line.count(b"\n") == 1
    assert from_record(json.loads(line)) == rejection


def test_the_fields_are_stable() -> None:
    record = to_record(replace(slow(), message_id="an id", body=b"{}", published_at=AT - 5))
    assert record == {
        "message_id": "an id",
        "code": "type",
        "path": "/download_speed",
        "reason": '"25.5" is not of type "number"',
        "rejected_at": "2026-03-01T03:00:00.000Z",
        "published_at": "2026-03-01T02:59:59.995Z",
        "rejected_by": "consumer-1",
        "schema": record["schema"],
        "origin": "dlmon download.completed",
        "replays": 0,
        "violations": [
            {
                "code": "type",
                "path": "/download_speed",
                "reason": '"25.5" is not of type "number"',
            }
        ],
        "headers": {},
        "content_type": "application/json",
        "correlation_id": None,
        "content_encoding": None,
        "type": None,
        "app_id": None,
        "packed_in": "",
        "place": None,
        "raw_headers": "",
        "body": "{}",
    }


def test_bytes_that_are_no_text_are_in_base64() -> None:
    record = to_record(replace(slow(), body=b"\xff\x00"))
    assert record["body_base64"] == "/wA="
    assert "body" not in record


def test_three_fields_are_enough_to_read(tmp_path: Path) -> None:
    line = (
        '{"message_id": "1", "body": "{}", '
        '"violations": [{"code": "a", "path": "", "reason": "b"}]}\n\n'
    )
    path = tmp_path / "by-hand.ndjson"
    path.write_text(line)
    (rejection,) = read_rejects(path)
    assert (rejection.message_id, rejection.body, rejection.replays) == ("1", b"{}", 0)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"message_id": None}, "message_id must be of type str"),
        ({"message_id": ""}, "message_id must have 1 to 255 bytes"),
        ({"violations": []}, "violations is empty"),
        ({"violations": ["type"]}, "expected a JSON object"),
        ({"violations": [{"code": "type"}]}, "path is missing"),
        ({"body": {"a": 1}}, "body must be of type str"),
        ({"body": None, "body_base64": "???"}, "base64"),
        ({"replays": -1}, "replays must not be negative"),
        ({"replays": True}, "replays must be of type int"),
        ({"rejected_at": "yesterday"}, "RFC 3339"),
        ({"rejected_at": "1969-12-31T23:59:59Z"}, "rejected_at must be in the years 1970 to 9999"),
        ({"published_at": "9999-12-31T23:59:59-23:59"}, "published_at must be in the years"),
        ({"replays": 2**63}, "replays is too large"),
        ({"body_base64": ""}, "body and body_base64 are both given"),
        ({"headers": {"deep": DEEP}}, "[Rr]ecursion"),
        ({"content_type": "t" * 256}, "content_type must have at most 255 bytes"),
        ({"correlation_id": "ü" * 128}, "correlation_id must have at most 255 bytes"),
        ({"app_id": 7}, "app_id must be of type str"),
    ],
)
def test_a_wrong_line_is_named_with_what_is_wrong(
    tmp_path: Path, change: dict[str, object], complaint: str
) -> None:
    path = tmp_path / "rejects.ndjson"
    path.write_bytes(to_line(slow()) + json.dumps({**to_record(slow()), **change}).encode())
    with pytest.raises(FileError, match=rf"rejects\.ndjson:2: .*{complaint}"):
        list(read_rejects(path))


@pytest.mark.parametrize(
    ("line", "pointer"),
    [
        (b'{"message_id":"1","body":"{}","body":"[]","violations":V}', "/body"),
        (b'{"message_id":"1","message_id":"2","body":"{}","violations":V}', "/message_id"),
        (b'{"message_id":"1","body":"","headers":{"a":1,"a":1},"violations":V}', "/headers/a"),
        (
            b'{"message_id":"1","body":"","violations":[{"path":"a","path":""}]}',
            "/violations/0/path",
        ),
        (b'{"message_id":"1","body":"","bod\\u0079":"","violations":V}', "/body"),
        (b'{"message_id":"1","body":"","own":{"":1,"":2},"violations":V}', "/own/"),
    ],
)
def test_a_key_that_stands_twice_is_refused_as_in_events(
    tmp_path: Path, line: bytes, pointer: str
) -> None:
    path = tmp_path / "rejects.ndjson"
    violations = b'[{"code":"a","path":"","reason":"b"}]'
    path.write_bytes(to_line(slow()) + line.replace(b":V}", b":" + violations + b"}"))
    reading = read_rejects(path)
    next(reading)
    with pytest.raises(FileError, match=rf"rejects\.ndjson:2: the key {pointer} stands more than"):
        next(reading)


def test_a_key_that_stands_twice_in_the_event_is_no_matter_of_the_line(tmp_path: Path) -> None:
    body = b'{"a": 1, "a": 2}'
    path = tmp_path / "rejects.ndjson"
    path.write_bytes(to_line(replace(slow(), body=body)))
    assert [one.body for one in read_rejects(path)] == [body]


def test_a_torn_line_is_an_error_after_the_whole_ones(tmp_path: Path) -> None:
    path = tmp_path / "rejects.ndjson"
    path.write_bytes(to_line(slow()) + to_line(slow())[:-30])
    reading = read_rejects(path)
    next(reading)
    with pytest.raises(FileError, match=r"rejects\.ndjson:2: "):
        next(reading)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="No such file"):
        list(read_rejects(tmp_path / "missing.ndjson"))


def test_an_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "rejects.ndjson"
    path.write_text("precious")
    with pytest.raises(FileError, match="exists already"):
        RejectsFile(path)
    assert path.read_text() == "precious"


@pytest.mark.parametrize("name", ["rejects.ndjson", "rejects.ndjson.gz"])
def test_what_was_synced_can_be_read_while_the_file_is_still_written(
    tmp_path: Path, name: str
) -> None:
    first, second = slow(), slow()
    with RejectsFile(tmp_path / name) as file:
        file.write([first])
        file.sync()
        assert list(read_rejects(tmp_path / name)) == [first]
        file.write([second])
        file.sync()
        assert list(read_rejects(tmp_path / name)) == [first, second]


def test_a_compressed_file_is_what_other_programs_call_gzip(tmp_path: Path) -> None:
    path = tmp_path / "rejects.ndjson.gz"
    rejections = [slow(), slow()]
    with RejectsFile(path) as file:
        for rejection in rejections:
            file.write([rejection])
    unpacked = subprocess.run(["gzip", "-dc", path], check=True, capture_output=True).stdout
    assert unpacked == b"".join(map(to_line, rejections))
    assert gzip.decompress(path.read_bytes()) == unpacked


@pytest.mark.parametrize("compress", [gzip.compress, zstd.compress], ids=["gzip", "zstd"])
@pytest.mark.parametrize("name", ["rejects.ndjson", "rejects.txt", "rejects.ndjson.gz"])
def test_compression_is_recognized_by_content_and_not_by_name(
    tmp_path: Path, compress: Callable[[bytes], bytes], name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(compress(to_line(ONE)) + compress(to_line(OTHER)))
    assert list(read_rejects(path)) == [ONE, OTHER]


def test_a_plain_file_named_like_gzip_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "rejects.ndjson.gz"
    path.write_bytes(to_line(ONE))
    assert list(read_rejects(path)) == [ONE]


def test_a_compressed_export_of_nothing_is_whole_gzip_data(tmp_path: Path) -> None:
    path = tmp_path / "rejects.ndjson.gz"
    with RejectsFile(path):
        pass
    assert subprocess.run(["gzip", "-dc", path], check=True, capture_output=True).stdout == b""
    assert list(read_rejects(path)) == []
