"""Summaries follow a store: they miss nothing, and count nothing twice, whatever happens to it."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from dlmon.analysis import summaries as module
from dlmon.analysis.levels import Level
from dlmon.analysis.stats import Stats
from dlmon.analysis.summaries import Summaries
from dlmon.errors import FileError, StoreUnavailable
from dlmon.runtime.stop import Stop
from dlmon.stores.sqlite_reader import SqliteReader
from tests.support.kills import killed_before_statement
from tests.unit.analysis.stores import NOON, Download, Events, everything

_NEWER = ("PRAGMA application_id = 0x646C6D65", "PRAGMA user_version = 1000")


def some(count: int, hours: int = 0) -> list[Download]:
    return [Download(at=NOON + timedelta(hours=hours)) for _ in range(count)]


def run(path: Path, *statements: str) -> None:
    """Change a store by hand."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def test_what_was_stored_since_the_last_time_is_added(events: Events) -> None:
    for total in (3, 6, 9):
        events.add(*some(3))
        assert events.count() == total
    assert events.count() == 9


def test_following_a_store_without_news_writes_nothing(events: Events) -> None:
    events.add(*some(3))
    assert events.count() == 3
    with closing(sqlite3.connect(events.summaries)) as looker:
        (before,) = looker.execute("PRAGMA data_version").fetchone()
        assert events.count() == 3
        assert looker.execute("PRAGMA data_version").fetchone() == (before,)
        events.add(*some(1))
        assert events.count() == 4
        assert looker.execute("PRAGMA data_version").fetchone() != (before,)


def test_late_and_replayed_events_count_once_in_their_own_hour(events: Events) -> None:
    first = some(4)
    events.add(*first)
    assert events.count() == 4
    events.add(*first, *some(1, hours=-500))
    rows = events.ask(everything("hour")).rows
    assert [(row.label, row.count) for row in rows] == [
        ("2026-02-08T16:00Z", 1),
        ("2026-03-01T12:00Z", 4),
    ]


def test_the_count_beside_a_summary_is_that_of_the_summary(events: Events) -> None:
    for number in (3, 2):
        events.add(*some(number), *some(1, hours=number))
        events.count()
    with closing(sqlite3.connect(events.summaries)) as connection:
        rows = connection.execute("SELECT count, stats FROM summary").fetchall()
    assert [count for count, _ in rows] == [Stats.unpack(packed).count for _, packed in rows]
    assert {count for count, _ in rows} == {1, 5, 7}


def test_vacuum_between_two_looks_changes_nothing(events: Events) -> None:
    events.add(*some(20))
    run(events.path, "DELETE FROM events WHERE rowid <= 10")
    assert events.count() == 10
    run(events.path, "VACUUM")
    events.add(*some(2))
    assert events.count() == 12


def test_what_was_deleted_because_of_its_age_stays_in_the_summaries(events: Events) -> None:
    events.add(*some(20))
    assert events.count() == 20
    run(events.path, "DELETE FROM events WHERE rowid <= 19")
    events.add(*some(1))
    run(events.path, "DELETE FROM events WHERE rowid <= 20")
    assert events.count() == 21
    run(events.path, "DELETE FROM events")  # SQLite numbers the next rows from 1 on
    assert events.count() == 21
    events.add(*some(30))
    assert events.count() == 51
    assert events.count() == 51


def test_a_store_restored_from_an_older_backup_is_summarised_again(
    events: Events, tmp_path: Path
) -> None:
    events.add(*some(5))
    backup = tmp_path / "backup.db"
    with closing(sqlite3.connect(events.path)) as source, closing(sqlite3.connect(backup)) as copy:
        source.backup(copy)
    events.add(*some(7))
    assert events.count() == 12
    with closing(sqlite3.connect(backup)) as source, closing(sqlite3.connect(events.path)) as copy:
        source.backup(copy)  # into the same file
    events.add(*some(20))
    assert events.count() == 25


def test_another_file_in_the_place_of_a_store_is_summarised_alone(
    events: Events, tmp_path: Path
) -> None:
    events.add(*some(5))
    assert events.count() == 5
    other = Events(tmp_path / "other.db")
    other.add(*some(2))
    other.path.replace(events.path)
    assert events.count() == 2


def test_summaries_that_are_deleted_come_again(events: Events) -> None:
    events.add(*some(5))
    assert events.count() == 5
    events.summaries.unlink()
    assert events.count() == 5


def test_summaries_of_another_version_are_made_again(events: Events) -> None:
    events.add(*some(5))
    assert events.count() == 5
    run(events.summaries, "PRAGMA user_version = 0")
    assert events.count() == 5


def test_a_stop_keeps_what_is_done(events: Events) -> None:
    events.add(*some(5))
    stop = Stop()
    stop.request()
    with SqliteReader(events.path) as reader, Summaries(events.summaries) as summaries:
        summaries.follow(reader, stop)
        assert summaries.events == 5
    assert events.count() == 5


def test_progress_says_how_many_there_are(events: Events, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_READ", 4)
    seen: list[tuple[int, int]] = []
    for number in (6, 3):
        events.add(*some(number))
        with SqliteReader(events.path) as reader, Summaries(events.summaries) as summaries:
            summaries.follow(reader, Stop(), lambda done, total: seen.append((done, total)))
    assert seen == [(4, 6), (6, 6), (9, 9)]


def test_the_newest_events_of_a_large_store_come_first_and_later_ones_before_older_ones(
    events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_READ", 2)
    monkeypatch.setattr(module, "_MAX_SIZE", 1)
    monkeypatch.setattr(module, "NEWEST", 4)
    events.add(*some(6), *some(2, hours=1), *some(4, hours=2))
    seen: list[tuple[dict[int, int], int]] = []

    with SqliteReader(events.path) as reader, Summaries(events.summaries) as summaries:
        first = int(NOON.timestamp()) // 3600

        def look(done: int, total: int) -> None:
            found = summaries.read(Level.WORLD_HOUR, first, first + 99)
            seen.append(({one.hour - first: one.stats.count for one in found}, total))
            if done == 6:
                events.add(*some(1, hours=3))

        summaries.follow(reader, Stop(), look)
    assert seen == [
        ({}, 12),
        ({2: 2}, 12),
        ({2: 4}, 12),
        ({0: 2, 2: 4}, 12),
        ({0: 2, 2: 4, 3: 1}, 12),
        ({0: 4, 2: 4, 3: 1}, 12),
        ({0: 6, 2: 4, 3: 1}, 13),
    ]
    assert [row.count for row in events.ask(everything("hour")).rows] == [6, 2, 4, 1]


def test_a_stop_among_older_events_goes_on_there(
    events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_READ", 2)
    monkeypatch.setattr(module, "_MAX_SIZE", 1)
    monkeypatch.setattr(module, "NEWEST", 3)
    events.add(*some(12))
    counts = []
    for _ in range(9):
        stop = Stop()
        with SqliteReader(events.path) as reader, Summaries(events.summaries) as summaries:
            summaries.follow(reader, stop, lambda _done, _total, stop=stop: stop.request())  # type: ignore[misc]
            counts.append(summaries.events)
    assert counts == [2, 3, 5, 7, 9, 11, 12, 12, 12]
    run(events.path, "DELETE FROM events WHERE rowid <= 9")
    events.add(*some(1))
    assert events.count() == 13


def test_older_events_that_are_deleted_meanwhile_are_not_waited_for(
    events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_READ", 2)
    monkeypatch.setattr(module, "NEWEST", 3)
    events.add(*some(12))
    stop = Stop()
    with SqliteReader(events.path) as reader, Summaries(events.summaries) as summaries:
        summaries.follow(reader, stop, lambda _done, _total: stop.request())
    run(events.path, "DELETE FROM events WHERE rowid <= 10")
    assert events.count() == 3
    events.add(*some(1))
    assert events.count() == 4


@pytest.mark.slow
@pytest.mark.parametrize("newest", [100, 5])
def test_a_kill_at_any_statement_loses_nothing_and_counts_nothing_twice(
    events: Events, newest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NEWEST", newest)
    monkeypatch.setattr(module, "_READ", 4)
    monkeypatch.setattr(module, "_MAX_SIZE", 1)
    events.add(*some(4), *some(4, hours=1), *some(4, hours=30))
    number = 0
    ended = False
    while not ended:
        number += 1
        for file in events.path.parent.glob("*.summaries.*"):
            file.unlink()
        ended = not killed_before_statement(number, events.count)
        rows = events.ask(everything("hour")).rows
        assert [row.count for row in rows] == [4, 4, 4], number
    assert number > 40


def test_two_reports_at_once_share_the_work_while_a_consumer_writes(events: Events) -> None:
    events.add(*some(1))
    counts: list[list[int]] = [[], []]
    done = threading.Event()

    def look(mine: list[int]) -> None:
        while not done.is_set():
            mine.append(events.count())

    lookers = [threading.Thread(target=look, args=(mine,)) for mine in counts]
    for thread in lookers:
        thread.start()
    for _ in range(20):
        events.add(*some(50))
    done.set()
    for thread in lookers:
        thread.join()
    assert all(mine == sorted(mine) and mine for mine in counts)
    assert events.count() == events.ask_exactly(everything("hour")).total.count == 1001


def test_where_nothing_can_be_written_it_says_what_it_needs(events: Events, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        FileError, match="folder must be writable, or leave summaries out by --exact"
    ):
        Summaries(tmp_path / "file" / "summaries.db")


def test_a_file_of_something_else_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "events.summaries.db"
    run(path, "CREATE TABLE mine (x)")
    with pytest.raises(FileError, match="something else, not a file of summaries"):
        Summaries(path)
    path.write_text("not a database, and longer than the header of one" * 100)
    with pytest.raises(FileError, match="not a database"):
        Summaries(path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda _path: None, "There is no store"),
        (lambda path: path.mkdir(), "Is a directory"),
        (lambda path: path.write_text("no database" * 1000), "not a SQLite file"),
        (lambda path: run(path, "CREATE TABLE mine (x)"), "SQLite file of something else"),
        (lambda path: run(path, *_NEWER), "made by a newer dlmon"),
    ],
)
def test_a_store_that_cannot_be_read_says_why(events: Events, make: object, message: str) -> None:
    make(events.path)  # type: ignore[operator]
    with pytest.raises(StoreUnavailable, match=message):
        SqliteReader(events.path)
