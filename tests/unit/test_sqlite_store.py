from __future__ import annotations

import resource
import sqlite3
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier, Timer
from typing import Any

import orjson
import pytest

from dlmon.config.urls import StoreAddress
from dlmon.errors import StoreUnavailable
from dlmon.stores import open_store
from dlmon.stores.sqlite import SqliteStore
from tests.support.events import make_body, make_entry, make_event


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "not" / "there" / "events.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    with SqliteStore(path) as store:
        yield store


def rows(path: Path, columns: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT {columns} FROM events ORDER BY rowid").fetchall()  # noqa: S608


def test_an_event_is_stored_in_typed_columns_and_byte_for_byte(
    store: SqliteStore, path: Path
) -> None:
    event = make_event(timestamp="2026-03-01T12:00:00.25+02:00", file_size=10, note="é\x7f")
    body = orjson.dumps(event, option=orjson.OPT_INDENT_2)
    entry = make_entry(body)
    written = store.write([entry])
    assert (list(written.stored), list(written.duplicates), list(written.refused)) == (
        [entry],
        [],
        [],
    )
    columns = "event_id, timestamp, latitude, longitude, file_size, download_speed, body"
    assert rows(path, columns) == [
        (
            event["event_id"],
            "2026-03-01T10:00:00.250000Z",
            51.935739,
            -8.38847,
            10,
            12.772,
            body.decode(),
        )
    ]


def test_numbers_that_are_integers_to_json_schema_are_stored_as_such(
    store: SqliteStore, path: Path
) -> None:
    body = make_body(file_size=0).replace(b'"file_size":0', b'"file_size":1.5e3')
    store.write([make_entry(body)])
    assert rows(path, "file_size, typeof(file_size)") == [(1500, "integer")]


def test_times_sort_as_text(store: SqliteStore, path: Path) -> None:
    times = ["2026-03-01T12:00:00.5Z", "2026-03-01t12:00:00z", "2026-03-01T12:30:00.0000001+01:00"]
    store.write([make_entry(make_body(timestamp=time)) for time in times])
    assert sorted(rows(path, "timestamp")) == [
        ("2026-03-01T11:30:00.000000Z",),
        ("2026-03-01T12:00:00.000000Z",),
        ("2026-03-01T12:00:00.500000Z",),
    ]


def test_a_locked_store_is_unavailable_and_works_again_afterwards(
    store: SqliteStore, path: Path
) -> None:
    entry = make_entry(make_body())
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreUnavailable, match="locked"):
            store.write([entry])
        with pytest.raises(StoreUnavailable, match="locked"):
            store.probe()
        other.execute("ROLLBACK")
    store.probe()
    assert store.write([entry]).stored == [entry]


def test_consumers_that_start_at_once_make_the_store_together(tmp_path: Path) -> None:
    many = 4
    together = Barrier(many)

    def open_and_close(path: Path) -> None:
        together.wait()
        SqliteStore(path).close()

    with ThreadPoolExecutor(many) as threads:
        for number in range(30):
            path = tmp_path / f"{number}.db"
            for opened in [threads.submit(open_and_close, path) for _ in range(many)]:
                opened.result()


def test_a_store_that_is_locked_for_a_moment_is_waited_for(store: SqliteStore, path: Path) -> None:
    store.close()
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN EXCLUSIVE")
        let_go = Timer(1.5, other.execute, ["ROLLBACK"])
        let_go.start()
        SqliteStore(path).close()
        let_go.join()


def test_a_full_disk_is_unavailable_and_leaves_nothing_of_the_batch(
    store: SqliteStore, path: Path
) -> None:
    entries = [make_entry(make_body(note="x" * 10_000)) for _ in range(20)]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(StoreUnavailable, match=str(path)):
            store.write(entries)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert rows(path, "1") == []
    assert store.write(entries).stored == entries


def test_a_store_that_was_deleted_underneath_is_noticed_and_made_again(
    store: SqliteStore, path: Path
) -> None:
    entry = make_entry(make_body())
    for file in path.parent.iterdir():
        file.unlink()
    path.parent.rmdir()
    with pytest.raises(StoreUnavailable, match=str(path)):
        store.write([entry])
    assert store.write([entry]).stored == [entry]
    assert rows(path, "event_id") == [(entry.event_id,)]


def test_files_of_something_else_are_left_alone(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("these are my notes and no database at all\n" * 50)
    with pytest.raises(StoreUnavailable, match="not a SQLite file"):
        SqliteStore(text)
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE events (id)")
    with pytest.raises(StoreUnavailable, match="something else"):
        SqliteStore(other)
    newer = tmp_path / "newer.db"
    SqliteStore(newer).close()
    with closing(sqlite3.connect(newer)) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = newer.read_bytes()
    with pytest.raises(StoreUnavailable, match="newer dlmon"):
        SqliteStore(newer)
    assert newer.read_bytes() == before


def test_a_place_where_no_file_can_be_is_unavailable(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(StoreUnavailable, match=r"Not a directory|File exists"):
        SqliteStore(file / "below" / "events.db")
    with pytest.raises(StoreUnavailable, match="cannot be opened"):
        SqliteStore(tmp_path)


def test_a_commit_is_durable_and_readers_do_not_wait(store: SqliteStore, path: Path) -> None:
    store.write([make_entry(make_body())])
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    own = store._connection  # only the connection itself can tell
    assert own is not None
    assert own.execute("PRAGMA synchronous").fetchone() == (2,)


def test_the_time_index_is_used(store: SqliteStore, path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        plan = connection.execute(
            "EXPLAIN QUERY PLAN SELECT * FROM events WHERE at >= 2026"
        ).fetchall()
    assert "events_by_time" in plan[0][3]


def test_the_store_is_chosen_by_url(tmp_path: Path) -> None:
    with open_store(StoreAddress(f"sqlite:///{tmp_path}/events.db")) as store:
        assert store.exactly_once
    assert (tmp_path / "events.db").exists()


@pytest.mark.parametrize(("version", "advised"), [(4, True), (7, False)])
def test_random_ids_are_told_with_what_they_cost(
    store: SqliteStore, version: int, *, advised: bool
) -> None:
    numbers = (uuid.uuid4().int & ~(0xF << 76) | version << 76 for _ in range(500))
    events = [make_event(event_id=str(uuid.UUID(int=number))) for number in numbers]
    entries = [make_entry(orjson.dumps(event)) for event in events]
    store.write(entries[:-1])
    assert store.advice() is None  # of so few, nothing is known
    store.write(entries[-1:])
    assert bool(store.advice()) is advised
    assert not advised or "100% of the newest ids are random" in str(store.advice())


def test_the_view_shows_ids_and_times_as_text(store: SqliteStore, path: Path) -> None:
    times = ["0001-01-01T00:00:00.000000Z", "1969-12-31T23:59:59.999999Z"]
    ids = ["abcdef00-0000-4000-8000-000000000000", "abcdef00-0000-4000-8000-00000000000", "É"]
    events = [make_event(event_id=event_id, timestamp=times[0]) for event_id in ids]
    events.append(make_event(timestamp=times[1]))
    store.write([make_entry(orjson.dumps(event)) for event in events])
    assert rows(path, "event_id")[:3] == [(event_id.lower(),) for event_id in ids]
    assert rows(path, "timestamp") == [(times[0],)] * 3 + [(times[1],)]
    assert rows(path, "typeof(event_id), stored_at > '2026'")[0] == ("text", 1)
