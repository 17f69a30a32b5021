from __future__ import annotations

import fcntl
import gzip
import os
import re
import resource
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import orjson
import pytest

from dlmon.brokers.local import LocalBroker
from dlmon.config.names import Names
from dlmon.config.urls import StoreAddress
from dlmon.errors import SettingsError, StoreUnavailable
from dlmon.messages import Message, Queue
from dlmon.stores import open_store
from dlmon.stores.ndjson import NdjsonStore
from dlmon.stores.sqlite import SqliteStore
from tests.support.events import make_body, make_entry, make_event
from tests.support.messages import PATIENCE, receive


def test_bodies_are_appended_byte_for_byte_one_a_line(tmp_path: Path) -> None:
    path = tmp_path / "new" / "events.ndjson"
    bodies = [make_body(), make_body(note="é")]
    for body in bodies:
        store = NdjsonStore(path)
        assert [entry.body for entry in store.write([make_entry(body)]).stored] == [body]
    assert path.read_bytes() == b"".join(body + b"\n" for body in bodies)


def test_line_breaks_between_tokens_are_left_out_and_nothing_else_changes(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    event = make_event(note="two\r\nlines")
    body = orjson.dumps(event, option=orjson.OPT_INDENT_2).replace(b"\n", b"\r\n")
    body = body.replace(b"12.772", b"1.2772e1")
    NdjsonStore(path).write([make_entry(body)])
    (line,) = path.read_bytes().splitlines()
    assert orjson.loads(line) == event
    assert b"1.2772e1" in line


def test_half_a_line_that_a_crash_left_spoils_no_event_after_it(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    path.write_bytes(b'{"event_id":"ha')
    body = make_body()
    NdjsonStore(path).write([make_entry(body)])
    assert path.read_bytes().splitlines() == [b'{"event_id":"ha', body]


def test_a_full_disk_leaves_nothing_of_the_batch(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    store = NdjsonStore(path)
    first, second = make_entry(make_body()), make_entry(make_body(note="x" * 10_000))
    store.write([first])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
    try:
        with pytest.raises(StoreUnavailable, match=str(path)):
            store.write([second])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == first.body + b"\n"
    store.write([second])
    assert path.read_bytes().splitlines() == [first.body, second.body]


def test_a_file_that_was_rotated_away_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    store = NdjsonStore(path)
    first, second = make_body(), make_body()
    store.write([make_entry(first)])
    path.rename(tmp_path / "events.ndjson.1")
    store.write([make_entry(second)])
    assert path.read_bytes() == second + b"\n"


def test_a_file_that_is_rotated_away_while_its_lock_is_waited_for_gets_nothing(
    tmp_path: Path,
) -> None:
    path, rotated = tmp_path / "events.ndjson", tmp_path / "events.ndjson.1"
    store = NdjsonStore(path)
    entry = make_entry(make_body())
    with path.open("rb") as other, ThreadPoolExecutor(1) as threads:
        fcntl.flock(other, fcntl.LOCK_EX)
        writing = threads.submit(store.write, [entry])
        wait_until_it_waits(other.fileno())
        path.rename(rotated)
        fcntl.flock(other, fcntl.LOCK_UN)
        writing.result()
    assert rotated.read_bytes() == b""
    assert path.read_bytes() == entry.body + b"\n"


def wait_until_it_waits(file: int) -> None:
    inode = os.fstat(file).st_ino
    deadline = time.monotonic() + PATIENCE
    while not re.search(rf"-> FLOCK .*:{inode} ", Path("/proc/locks").read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_what_is_packed_right_after_a_rotation_has_every_event(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    store = NdjsonStore(path)
    written: set[bytes] = set()
    packed: list[bytes] = []

    def write() -> None:
        while len(packed) < 50:
            entries = [make_entry(make_body()) for _ in range(5)]
            store.write(entries)
            written.update(entry.body for entry in entries)

    with ThreadPoolExecutor(1) as threads:
        writing = threads.submit(write)
        while not writing.done():
            rotated = tmp_path / f"events.ndjson.{len(packed)}"
            path.rename(rotated)
            packed.append(rotated.read_bytes())
            while not (path.exists() or writing.done()):
                time.sleep(0.0001)
        writing.result()
    if path.exists():
        packed.append(path.read_bytes())
    assert written <= set(b"".join(packed).splitlines())


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="directory"):
        NdjsonStore(tmp_path)
    with pytest.raises(StoreUnavailable, match="not a regular file"):
        NdjsonStore(Path("/dev/null"))


@pytest.mark.parametrize(
    "content",
    [
        b"SQLite format 3\0" + b"\x10\0" * 50,
        b"\x37\x7f\x06\x82\0\x2d\xe2\x18\0\0\x10\0",  # of SQLite's write-ahead log
        gzip.compress(b'{"event_id": "a"}\n', mtime=0),
        b"\x28\xb5\x2f\xfd",
        b"root:x:0:0:root:/root:/bin/bash\n",
        b"\0" * 100,
        b"# notes\n",
        b"\xef\xbb\xbf{}",
        b'namespace = "fleet"\n',
        b"tls = true\n",
    ],
)
def test_a_file_of_something_else_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "events.ndjson"
    path.write_bytes(content)
    with pytest.raises(StoreUnavailable, match="something else than events as NDJSON"):
        NdjsonStore(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("content", [b"{", b"\n\n", b"[1]\n", b'"x"\n', b"-7\n", b"\r\n {}\n"])
def test_a_file_of_json_texts_is_appended_to(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "events.ndjson"
    path.write_bytes(content)
    entry = make_entry(make_body())
    NdjsonStore(path).write([entry])
    assert path.read_bytes().startswith(content)
    assert path.read_bytes().endswith(b"\n" + entry.body + b"\n")


def test_a_file_that_becomes_something_else_meanwhile_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    store = NdjsonStore(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE message (body)")
    before = path.read_bytes()
    with pytest.raises(StoreUnavailable, match="something else"):
        store.write([make_entry(make_body())])
    assert path.read_bytes() == before


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
def test_the_local_brokers_own_files_are_left_alone(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "broker.db"
    body = make_body()
    with LocalBroker(path, Names()) as broker:
        broker.publish(Queue.ARRIVALS, [[Message(body, "one")]])
        with pytest.raises(StoreUnavailable, match="something else"):
            NdjsonStore(path.with_name(path.name + suffix))
        with pytest.raises(StoreUnavailable):
            SqliteStore(path.with_name(path.name + suffix))
        with broker.open_consumer(1) as consumer:
            assert [delivery.body for delivery in receive(consumer, 1)] == [body]


def test_a_url_without_a_path_is_refused() -> None:
    with pytest.raises(SettingsError, match="expected a path"):
        open_store(StoreAddress("ndjson:"))


WRITE_TO_STDOUT = """
import sys
from dlmon.config.urls import StoreAddress
from dlmon.stores import open_store
from tests.support.messages import PATIENCE, receive
from tests.support.events import make_entry
entry = make_entry(sys.argv[1].encode())
with open_store(StoreAddress("stdout")) as store:
    for _ in range(int(sys.argv[2])):
        store.write([entry])
"""


def test_stdout_gets_pure_ndjson() -> None:
    body = make_body()
    command = [sys.executable, "-c", WRITE_TO_STDOUT, body.decode(), "2"]
    done = subprocess.run(command, capture_output=True, check=True)
    assert done.stdout == (body + b"\n") * 2


def test_a_stdout_that_is_full_is_unavailable_and_one_that_is_gone_breaks_the_pipe() -> None:
    command = [sys.executable, "-c", WRITE_TO_STDOUT, make_body().decode(), "9"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
    assert b"StoreUnavailable: Cannot write to stdout: No space left on device." in done.stderr
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert b"BrokenPipeError" in process.stderr.read()


def test_a_stdout_that_is_closed_from_the_start_is_unavailable() -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-c", WRITE_TO_STDOUT, "{}", "1"],
        capture_output=True,
        check=False,
    )
    assert b"StoreUnavailable: There is no stdout" in done.stderr
