from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import sys
import threading
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlmon.errors import FileError
from dlmon.event import id_from_body
from dlmon.event_files.detect import Layout
from dlmon.sources.base import PlannedEvent
from dlmon.sources.recorded import MAX_RECORDED_BYTES, RecordedEvents
from tests.support.events import make_body, make_event

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("events", content)
    return file.getvalue()


def bodies(source: RecordedEvents, limit: int = 100) -> list[bytes]:
    """All events of a source that need not be waited for."""
    found = []
    while not source.exhausted:
        found += [event.body for event in source.take(limit)]
    return found


def drain(source: RecordedEvents) -> tuple[list[bytes], FileError | None]:
    """All events of a source, and why there are no more."""
    found: list[bytes] = []
    try:
        while not source.exhausted:
            found += [event.body for event in source.take(100)]
    except FileError as error:
        return found, error
    return found, None


def read_all(path: Path) -> list[bytes]:
    with RecordedEvents(path) as source:
        return bodies(source)


def read(path: Path, content: bytes) -> list[bytes]:
    path.write_bytes(content)
    return read_all(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.ndjson"


@contextmanager
def pipe() -> Iterator[tuple[RecordedEvents, int]]:
    """A source that reads a pipe, and where to write into it."""
    reader, writer = os.pipe()
    with RecordedEvents(Path(f"/dev/fd/{reader}")) as source:
        os.close(reader)
        yield source, writer


def test_every_line_is_an_event_byte_for_byte(path: Path) -> None:
    lines = [make_body(), b" {} ", b"not JSON \xff", b"\xef\xbb\xbf{}", b"a\rb", b"\x1f\x8b"]
    assert read(path, b"\n".join(lines) + b"\n") == lines


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"\n", []),
        (b"a", [b"a"]),
        (b"a\nb", [b"a", b"b"]),
        (b"a\r\nb\r\n", [b"a", b"b"]),
        (b"a\n\n \t\r\n\nb\n", [b"a", b"b"]),
        (b"a\r\r\n", [b"a\r"]),
        (b"\x1f", [b"\x1f"]),
        (b"\x1f\n", [b"\x1f"]),
    ],
)
def test_line_breaks_end_lines_and_blank_lines_are_none(
    path: Path, content: bytes, lines: list[bytes]
) -> None:
    assert read(path, content) == lines


@given(
    lines=st.lists(st.binary(max_size=50).filter(lambda line: line.strip(b" \t\r\n"))),
    cuts=st.lists(st.integers(0, 1_000)),
    packed=st.booleans(),
)
def test_however_it_comes_in_it_is_the_same(
    lines: list[bytes], cuts: list[int], packed: bool
) -> None:
    lines = [line.replace(b"\n", b"").rstrip(b"\r") for line in lines]
    # The first line is text, so that what follows makes it neither an array nor other data.
    lines = [b"text", *(line for line in lines if line.strip(b" \t\r"))]
    content = b"\n".join(lines)
    if packed:
        content = gzip.compress(content, mtime=0)
    edges = [0, *sorted(cut for cut in cuts if cut < len(content)), len(content)]
    found: list[bytes] = []
    with pipe() as (source, writer):
        for start, end in pairwise(edges):
            os.write(writer, content[start:end])
            found += [event.body for event in source.take(1_000)]
        os.close(writer)
        found += bodies(source)
    assert found == lines


def test_the_message_id_is_the_event_id_else_a_hash_of_the_body(path: Path) -> None:
    event = make_event(file_size="broken")
    lines = [make_body(**event), b"not JSON", b'{"event_id": 4711}', b'{"event_id": ""}', b"[]"]
    path.write_bytes(b"\n".join(lines) + b"\n")
    with RecordedEvents(path) as source:
        events = source.take(100)
    assert events == [
        PlannedEvent(event["event_id"], lines[0], None),
        *(PlannedEvent(id_from_body(line), line, None) for line in lines[1:]),
    ]


def test_no_more_are_taken_than_asked_for(path: Path) -> None:
    path.write_bytes(b"1\n2\n3\n")
    with RecordedEvents(path) as source:
        assert [len(source.take(2)), source.exhausted] == [2, False]
        assert [len(source.take(2)), len(source.take(2))] == [1, 0]
        assert source.exhausted


@pytest.mark.parametrize("tail", [b"", b"\0" * 700])
def test_gzip_is_recognized_by_content_and_may_have_several_members(
    path: Path, tail: bytes
) -> None:
    lines = [make_body() for _ in range(3_000)]
    halves = lines[:1_000], lines[1_000:]
    packed = b"".join(gzip.compress(b"\n".join(half) + b"\n") for half in halves)
    assert read(path, packed + tail) == lines


ZSTD = zstd.compress(b"1\n2\n", options={zstd.CompressionParameter.checksum_flag: 1})
GZIP = gzip.compress(b"1\n2\n", mtime=0)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (GZIP[:-5], "to its end: its gzip data is cut off"),
        (GZIP + b"text", "its gzip data is damaged"),
        (GZIP[:-6] + bytes([GZIP[-6] ^ 1]) + GZIP[-5:], "its gzip data is damaged"),
        (GZIP + b"\x1f\x8b\x08", "to its end: its gzip data is cut off"),
        (ZSTD[:-5], "to its end: its zstd data is cut off"),
        (ZSTD + b"text", "its zstd data is damaged"),
        (ZSTD[:-1] + bytes([ZSTD[-1] ^ 1]), "its zstd data is damaged"),
    ],
)
def test_damaged_packed_data_is_an_error_after_the_events_before_it(
    path: Path, content: bytes, reason: str
) -> None:
    path.write_bytes(content)
    with RecordedEvents(path) as source:
        found, error = drain(source)
        assert found == [b"1", b"2"][: len(found)]
        assert reason in str(error)
        assert drain(source) == ([], error)  # it stays an error


def test_sound_zstd_data_that_needs_more_is_refused_with_how_to_unpack_it(path: Path) -> None:
    events = [json.dumps(make_event()).encode() for _ in range(500)]
    large = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 30})
    with pytest.raises(FileError, match="asks for more than 128 MB of memory; unpack it first"):
        read(path, large.compress(b"\n".join(events)) + large.flush())
    dictionary = zstd.train_dict(events, 4096)
    with pytest.raises(FileError, match="with a dictionary; unpack it first, with `zstd -dc -D"):
        read(path, zstd.compress(events[0], zstd_dict=dictionary))


@pytest.mark.parametrize("name", ["events.gz", "events.zst", "events.ndjson.GZ"])
def test_an_empty_file_named_as_packed_is_an_error(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.touch()
    with pytest.raises(FileError, match="it is empty"):
        read_all(path)


@pytest.mark.parametrize("pack", [bz2.compress, lzma.compress, zipped])
def test_packed_data_that_is_not_read_is_refused_by_its_name(
    path: Path, pack: Callable[[bytes], bytes]
) -> None:
    with pytest.raises(FileError, match=r"it is (bzip2|xz|zip) data. Unpack it first, with `"):
        read(path, pack(make_body() + b"\n"))


FIRST, SECOND = make_event(), make_event()
COMPACT = [json.dumps(event).encode() for event in (FIRST, SECOND)]
PRETTY = [json.dumps(event, indent=2).encode() for event in (FIRST, SECOND)]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd.compress], ids=["", "gzip", "zstd"])
@pytest.mark.parametrize(
    ("content", "events", "reason"),
    [
        (b"\n".join(COMPACT), COMPACT, None),
        (b"\r".join(COMPACT), COMPACT, None),
        (b"\r\n".join(COMPACT), COMPACT, None),
        (b"[%b]" % b",".join(COMPACT), COMPACT, None),
        (b"[\n%b\n]\n" % b",\n".join(COMPACT), COMPACT, None),
        (b"\n".join(PRETTY), PRETTY, None),
        (b"[%b]" % b",\n".join(PRETTY), PRETTY, None),
        (b"\xef\xbb\xbf[%b]" % COMPACT[0], [], "1: a byte order mark"),
        (b'[{"a":1} {"a":2}]', [b'{"a":1}'], "10: a comma is missing"),
        (b'[{"a":1}', [b'{"a":1}'], "9: the array does not end"),
        (json.dumps(FIRST).encode("utf-16"), [], "1: UTF-16"),
        (zlib.compress(COMPACT[0]), [], "1: zlib data"),
        (b"PAR1\x15\0\nlines\n", [], "1: Parquet data"),
        (b"Obj\x01\x04\nlines\n", [], "1: Avro data"),
    ],
    ids=map(str, range(14)),
)
def test_a_file_is_read_in_every_layout_that_validate_file_reads(
    path: Path,
    pack: Callable[[bytes], bytes],
    content: bytes,
    events: list[bytes],
    reason: str | None,
) -> None:
    path.write_bytes(pack(content))
    with RecordedEvents(path) as source:
        found, error = drain(source)
    assert found == events
    assert (error is not None) == (reason is not None)
    assert reason is None or f"Cannot read on at {path}:1:{reason}" in str(error)


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress, bz2.compress, zipped])
def test_data_that_is_packed_twice_is_refused(path: Path, pack: Callable[[bytes], bytes]) -> None:
    with pytest.raises(FileError, match=r":1:1: \w+ data, where JSON is UTF-8"):
        read(path, gzip.compress(pack(b"\n".join(COMPACT))))


def test_a_layout_that_is_given_is_not_detected(path: Path) -> None:
    path.write_bytes(b"[\n1,\n2]\n")
    with RecordedEvents(path, Layout.NDJSON) as source:
        assert bodies(source) == [b"[", b"1,", b"2]"]


@given(cuts=st.lists(st.integers(0, 400), max_size=10), layout=st.sampled_from(["array", "json"]))
def test_events_of_any_layout_come_through_a_pipe_in_any_pieces(
    cuts: list[int], layout: str
) -> None:
    content = b"[%b]" % b", ".join(PRETTY) if layout == "array" else b"\n".join(PRETTY)
    edges = [0, *sorted(cut for cut in cuts if cut < len(content)), len(content)]
    found: list[bytes] = []
    with pipe() as (source, writer):
        for start, end in pairwise(edges):
            os.write(writer, content[start:end])
            found += [event.body for event in source.take(1_000)]
        os.close(writer)
        found += bodies(source)
    assert found == PRETTY


def test_the_longest_line_goes_out_and_one_byte_more_is_an_error(path: Path) -> None:
    longest = b"x" * MAX_RECORDED_BYTES
    assert read(path, b"first\n" + longest + b"\nlast") == [b"first", longest, b"last"]
    path.write_bytes(b"first\n" + longest + b"x\nlast")
    with RecordedEvents(path) as source:
        assert [event.body for event in source.take(9)] == [b"first"]
        with pytest.raises(FileError, match="line 2 is longer than 16 MiB") as caught:
            source.take(9)
    assert caught.value.exit_code == 2


@pytest.mark.slow
def test_a_line_without_end_is_not_loaded_without_bound(path: Path) -> None:
    packer = zlib.compressobj(wbits=31)
    zeros = b"0" * 2**20
    with path.open("wb") as file:
        for _ in range(256):
            file.write(packer.compress(zeros))
        file.write(packer.flush())
    tracemalloc.start()
    try:
        with pytest.raises(FileError, match="line 1 is longer"):
            read_all(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * MAX_RECORDED_BYTES


def test_a_slow_pipe_is_not_waited_for_and_delays_nothing() -> None:
    with pipe() as (source, writer):
        assert source.take(9) == []
        os.write(writer, b"first\nsec")
        assert [event.body for event in source.take(9)] == [b"first"]
        assert source.take(9) == []
        os.write(writer, b"ond\n\n")
        assert [event.body for event in source.take(9)] == [b"second"]
        assert not source.exhausted
        os.close(writer)
        assert source.take(9) == []
        assert source.exhausted


def test_a_compressed_pipe_gives_what_can_be_unpacked_so_far() -> None:
    packer = zlib.compressobj(wbits=31)
    with pipe() as (source, writer):
        os.write(writer, b"\x1f")
        assert source.take(9) == []
        first = packer.compress(b"first\n") + packer.flush(zlib.Z_SYNC_FLUSH)
        os.write(writer, first[1:])
        assert [event.body for event in source.take(9)] == [b"first"]
        os.write(writer, packer.flush())
        os.close(writer)
        assert bodies(source) == []


def test_opening_a_named_pipe_waits_for_nobody(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    with RecordedEvents(path) as source:
        assert source.take(9) == []
        assert not source.exhausted
        writer = threading.Thread(target=path.write_bytes, args=(b"event\n",))
        writer.start()
        assert bodies(source) == [b"event"]
        writer.join()


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="nowhere: No such file"):
        RecordedEvents(tmp_path / "nowhere")
    with pytest.raises(FileError, match="folder"):
        RecordedEvents(tmp_path)


def test_a_closed_stdin_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(FileError, match="no stdin"):
        RecordedEvents(Path("-"))
