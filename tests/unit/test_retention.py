from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from dlmon.config.urls import StoreAddress
from dlmon.errors import SettingsError
from dlmon.stores import open_store
from dlmon.stores import retention as retention_module
from dlmon.stores.retention import FIRST_STEP, Retention
from dlmon.stores.sqlite import SqliteStore
from dlmon.stores.sqlite_layout import epoch_to_micros
from tests.support.events import make_body, make_entry

KEEP = timedelta(days=30)


def age(path: Path, days: int) -> None:
    """Make all events that much older than they are."""
    stored_at = epoch_to_micros(time.time() - days * 86_400)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE stored_events SET stored_at = ?", (stored_at,))


def count(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        (events,) = connection.execute("SELECT count(*) FROM events").fetchone()
        return int(events)


def test_what_was_stored_long_ago_goes_in_steps_and_the_rest_stays(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    with SqliteStore(path, KEEP) as store:
        store.write([make_entry(make_body()) for _ in range(2 * FIRST_STEP + 1)])
        age(path, 31)
        # An old download that was stored just now, such as one that was replayed.
        young = make_entry(make_body(timestamp="2001-01-01T00:00:00Z"))
        store.write([young])
        steps = [*iter(store.trim, 0)]
        assert steps[0] == FIRST_STEP
        assert sum(steps) == 2 * FIRST_STEP + 1
        assert count(path) == 1
        assert store.write([young]).duplicates == [young]


def test_without_keep_nothing_is_ever_deleted(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    with SqliteStore(path) as store:
        store.write([make_entry(make_body())])
        age(path, 10_000)
        assert store.trim() == 0
    assert count(path) == 1


def test_a_store_that_was_made_without_keep_is_trimmed_by_an_index(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    SqliteStore(path).close()
    SqliteStore(path, KEEP).close()
    with closing(sqlite3.connect(path)) as connection:
        plan = connection.execute(
            "EXPLAIN QUERY PLAN "
            "SELECT 1 FROM stored_events WHERE stored_at < 2026 ORDER BY stored_at"
        ).fetchall()
    assert "events_by_age" in plan[0][3]


def test_once_nothing_is_left_to_delete_it_is_left_alone_for_a_while() -> None:
    retention = Retention(KEEP)
    assert retention.is_due()
    retention.note_deleted(retention.step, 0)
    assert retention.is_due()
    retention.note_deleted(retention.step - 1, 0)
    assert not retention.is_due()


@pytest.mark.parametrize(
    ("fixed", "each", "longest"),
    [(0.0, 0.000_03, 0.021), (0.0, 0.000_3, 0.075), (0.008, 0.000_03, 0.03), (0.5, 0.001, 0.75)],
    ids=["usual", "ten times as slow", "slow commits", "a disk that is too slow"],
)
def test_a_step_is_as_large_as_time_allows(
    monkeypatch: pytest.MonkeyPatch, fixed: float, each: float, longest: float
) -> None:
    """fixed: seconds of a step, each: of an event, longest: of the first step, which must guess."""
    now = 1_000.0
    monkeypatch.setattr(retention_module, "uptime", lambda: now)
    retention = Retention(KEEP)
    taken = []
    for _ in range(50):
        assert retention.is_due()
        taken.append(fixed + each * retention.step)
        now += taken[-1]
        retention.note_deleted(retention.step, 0)
    assert max(taken) <= longest
    assert max(taken[-10:]) <= max(0.021, fixed + 50 * each)
    assert retention.step >= 50


@pytest.mark.parametrize("url", ["stdout", "ndjson:events.ndjson"])
def test_keep_is_refused_where_nothing_can_be_deleted(url: str) -> None:
    with pytest.raises(SettingsError, match="cannot delete"):
        open_store(StoreAddress(url), KEEP)
