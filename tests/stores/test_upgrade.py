"""A store that dlmon 0.1.0 made is brought up to date, whole or not at all."""

from __future__ import annotations

import logging
import resource
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dlmon.errors import Interrupted, StoreUnavailable
from dlmon.runtime.stop import Stop
from dlmon.stores import sqlite_upgrade
from dlmon.stores.sqlite import SqliteStore
from dlmon.stores.sqlite_reader import SqliteReader
from tests.support.events import make_body, make_entry
from tests.support.kills import killed_before_statement

MADE_BY_0_1_0 = Path(__file__).parent / "data" / "store-0.1.0.db"
COLUMNS = (
    "event_id, timestamp, latitude, longitude, file_size, download_speed, body, stored_at, "
    "typeof(file_size), typeof(download_speed)"
)


def contents(path: Path) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT {COLUMNS} FROM events ORDER BY rowid").fetchall()  # noqa: S608


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        (number,) = connection.execute("PRAGMA user_version").fetchone()
        return int(number)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """38 events, with odd ids and times."""
    path = tmp_path / "events.db"
    shutil.copyfile(MADE_BY_0_1_0, path)
    return path


@pytest.fixture(autouse=True)
def chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few events at a time, and a line for each time."""
    monkeypatch.setattr(sqlite_upgrade, "_CHUNK", 10)
    monkeypatch.setattr(sqlite_upgrade, "_LOG_INTERVAL", 0.0)
    monkeypatch.setattr(logging.getLogger("dlmon"), "propagate", True)


def test_all_events_are_there_in_their_order_and_known(
    old: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = contents(old)
    assert len(before) == 38
    with caplog.at_level(logging.INFO, "dlmon"), SqliteStore(old) as store:
        written = store.write([make_entry(body.encode()) for *_, body, _, _, _ in before])
        assert len(written.duplicates) == 38
        new = make_entry(make_body())
        assert store.write([new]).stored == [new]
    assert contents(old)[:-1] == before
    assert version(old) == 2
    assert "Brought up to date: 10 of 38 events." in caplog.text
    with SqliteReader(old) as reader:
        assert sum(len(samples) for samples, _ in reader.read_after(None, 10)) == 39


@pytest.mark.slow
def test_a_kill_at_any_statement_leaves_the_old_store_or_the_new_one(
    old: Path, tmp_path: Path
) -> None:
    before = contents(old)
    path = tmp_path / "killed.db"
    killed = True
    number = 0
    versions = set()
    while killed:
        number += 1
        for file in tmp_path.glob("killed.db*"):
            file.unlink()
        shutil.copyfile(MADE_BY_0_1_0, path)
        killed = killed_before_statement(number, lambda: SqliteStore(path).close())
        versions.add(version(path))
        assert contents(path) == before, number
        with SqliteStore(path) as store:
            assert not store.write([make_entry(before[0][6].encode())]).stored
        assert contents(path) == before, number
    assert versions == {1, 2}
    assert number > 30


def test_a_full_disk_leaves_the_old_store(old: Path) -> None:
    before = contents(old)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, hard))
    try:
        with pytest.raises(StoreUnavailable, match=str(old)):
            SqliteStore(old)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (version(old), contents(old)) == (1, before)


@pytest.mark.parametrize("line", ["Bringing the store", "10 of 38 events", "Sorting the ids"])
def test_a_stop_leaves_the_old_store(
    old: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, line: str
) -> None:
    before, stop = contents(old), Stop()

    def stop_at(record: logging.LogRecord) -> bool:
        if line in record.getMessage():
            stop.request()
        return True

    monkeypatch.setattr(sqlite_upgrade, "_STEPS", 1)
    monkeypatch.setattr(logging.getLogger(sqlite_upgrade.__name__), "filters", [stop_at])
    with caplog.at_level(logging.INFO, "dlmon"):
        with pytest.raises(Interrupted, match="it is as it was"):
            SqliteStore(old, stop=stop)
        assert (version(old), contents(old)) == (1, before)
        assert "is up to date" not in caplog.text
    SqliteStore(old).close()
    assert contents(old) == before


def test_a_stop_ends_the_wait_for_a_locked_store(old: Path) -> None:
    stop = Stop()
    stop.request()
    with closing(sqlite3.connect(old, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Interrupted, match="was locked"):
            SqliteStore(old, stop=stop)


def test_without_enough_space_it_is_not_begun(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_upgrade, "_SPACE", 1e12)
    with pytest.raises(StoreUnavailable, match=r"32,768,000\.00 (GB|TB) have to be free beside it"):
        SqliteStore(old)
    assert version(old) == 1


def test_consumers_that_start_at_once_bring_it_up_to_date_once(old: Path) -> None:
    before = contents(old)
    with ThreadPoolExecutor(3) as threads:
        for opened in [threads.submit(lambda: SqliteStore(old).close()) for _ in range(3)]:
            opened.result()
    assert contents(old) == before


def test_who_reads_the_old_store_meanwhile_goes_on(old: Path) -> None:
    with closing(sqlite3.connect(old, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        (count,) = reader.execute("SELECT count(*) FROM events").fetchone()
        SqliteStore(old).close()
        assert len(reader.execute("SELECT body FROM events").fetchall()) == count


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("ALTER TABLE events ADD note TEXT DEFAULT 'mine'", "column note"),
        ("ALTER TABLE events ADD kb INTEGER AS (file_size / 1000)", "column kb"),
        ("CREATE INDEX mine ON events (file_size)", "index mine"),
        (
            "CREATE TRIGGER rule BEFORE INSERT ON events WHEN new.file_size = 13 "
            "BEGIN SELECT RAISE(ABORT, 'no thirteens'); END",
            "trigger rule",
        ),
    ],
)
def test_what_its_owner_added_to_the_table_stays_in_the_old_one(
    old: Path, caplog: pytest.LogCaptureFixture, change: str, named: str
) -> None:
    with closing(sqlite3.connect(old)) as connection:
        connection.execute(change)
        connection.execute("CREATE VIEW mine_too AS SELECT count(*) FROM events")
        connection.commit()
    SqliteStore(old).close()
    assert named in caplog.text
    with closing(sqlite3.connect(old)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM events_before_upgrade").fetchone()
        assert count == 38
        connection.execute("DROP TABLE events_before_upgrade")
        assert connection.execute("SELECT * FROM mine_too").fetchone() == (38,)


def test_a_reader_says_how_an_old_store_is_brought_up_to_date(old: Path) -> None:
    with pytest.raises(StoreUnavailable, match="older dlmon: start `dlmon consume` with it once"):
        SqliteReader(old)
    assert version(old) == 1
