"""`--keep` and clocks that are wrong, for a minute or from the start.

PostgreSQL's clock is the function now(): here one of the test's own, found before the server's.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from dlmon.config.urls import StoreAddress
from dlmon.stores import open_store, retention
from dlmon.stores.base import Store
from dlmon.stores.retention import uptime
from tests.stores.conftest import PostgresPlace
from tests.support.events import make_body, make_entry

KEEP = timedelta(days=30)
DAY = timedelta(days=1)


class Dated(ABC):
    """A store whose clock a test sets, with the ages of its events."""

    address: StoreAddress

    @abstractmethod
    def set_clock(self, ahead: timedelta) -> None:
        """How far the clock is ahead of the true time."""

    @abstractmethod
    def ages(self) -> list[int]:
        """Days since each event was stored, by the true time, the oldest first."""

    @abstractmethod
    def make_older(self, days: int) -> None:
        """Date every event that much earlier."""

    def open(self, keep: timedelta = KEEP, *, confirm: bool = False) -> Store:
        return open_store(self.address, keep, confirm_keep=confirm)

    def add(self, *ages: int) -> None:
        """Store an event of each age, in days."""
        previous = 0
        for age in sorted(ages, reverse=True):
            if previous:
                self.make_older(previous - age)
            previous = age
            with open_store(self.address) as store:
                store.write([make_entry(make_body())])
        self.make_older(previous)


class DatedSqlite(Dated):
    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.address = StoreAddress(f"sqlite:///{path}")
        self._path = path
        self._monkeypatch = monkeypatch
        self._true = time.time

    def set_clock(self, ahead: timedelta) -> None:
        true = self._true
        self._monkeypatch.setattr(time, "time", lambda: true() + ahead.total_seconds())

    def ages(self) -> list[int]:
        now = datetime.fromtimestamp(self._true(), UTC)
        with closing(sqlite3.connect(self._path)) as connection:
            rows = connection.execute("SELECT stored_at FROM events ORDER BY stored_at")
            return [round((now - datetime.fromisoformat(at)) / DAY) for (at,) in rows]

    def make_older(self, days: int) -> None:
        with closing(sqlite3.connect(self._path)) as connection, connection:
            connection.execute(
                "UPDATE stored_events SET stored_at = stored_at - ?", (days * 86_400_000_000,)
            )


class DatedPostgres(Dated):
    def __init__(self, place: PostgresPlace) -> None:
        self._place = place
        # Functions of the schema come before those of the server.
        self.address = replace(place.address, _url=f"{place.address.url},pg_catalog")
        self.set_clock(timedelta())

    def set_clock(self, ahead: timedelta) -> None:
        with psycopg.connect(self._place.address.url, autocommit=True) as connection:
            connection.execute(
                "CREATE OR REPLACE FUNCTION now() RETURNS timestamptz LANGUAGE sql STABLE AS "
                f"$$SELECT pg_catalog.now() + interval '{ahead.total_seconds()} s'$$".encode()
            )

    def ages(self) -> list[int]:
        rows = self._place.execute(
            "SELECT extract(epoch FROM pg_catalog.now() - stored_at) / 86400 FROM dlmon_events "
            "ORDER BY stored_at"
        )
        return [round(age) for (age,) in rows]

    def make_older(self, days: int) -> None:
        with psycopg.connect(self._place.address.url, autocommit=True) as connection:
            connection.execute(
                "UPDATE dlmon_events SET stored_at = stored_at - make_interval(days => %s)", (days,)
            )


@pytest.fixture(params=["sqlite", "postgresql", "postgresql by COPY"])
def dated(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Dated]:
    monkeypatch.setattr(logging.getLogger("dlmon"), "propagate", True)
    if request.param == "sqlite":
        yield DatedSqlite(tmp_path / "events.db", monkeypatch)
    else:
        if request.param == "postgresql by COPY":
            request.getfixturevalue("copied")
        yield DatedPostgres(request.getfixturevalue("postgres"))


@pytest.fixture(autouse=True)
def uptimes(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds by which the clock that cannot be set is ahead: add some to let time pass.

    A step of deletion is due at any time.
    """
    passed: list[float] = []
    monkeypatch.setattr(retention, "uptime", lambda: uptime() + sum(passed))
    monkeypatch.setattr(retention, "_PAUSE", 0.0)
    return passed


def test_what_is_older_than_it_is_to_be_kept_is_deleted_and_logged(
    dated: Dated, caplog: pytest.LogCaptureFixture
) -> None:
    dated.add(50, 40, 20, 0)
    with dated.open() as store, caplog.at_level(logging.INFO, "dlmon"):
        assert store.trim() == 2
    assert dated.ages() == [20, 0]
    (record,) = caplog.records
    assert record.getMessage().startswith("Deleted 2 events that were stored before ")


@pytest.mark.parametrize(
    ("ages", "ahead", "keep"),
    [
        ((3, 2, 1), timedelta(days=40), KEEP),
        ((3, 2, 1), timedelta(days=20_000), KEEP),
        ((3, 2, 1), timedelta(), timedelta(seconds=1)),
        ((40, 35), timedelta(), KEEP),
    ],
    ids=["40 days ahead", "55 years ahead", "1s for 1d", "idle for a month"],
)
def test_a_cut_that_would_take_everything_is_refused_until_it_is_confirmed(
    dated: Dated,
    caplog: pytest.LogCaptureFixture,
    ages: tuple[int, ...],
    ahead: timedelta,
    keep: timedelta,
) -> None:
    dated.add(*ages)
    dated.set_clock(ahead)
    with dated.open(keep) as store:
        store.write([make_entry(make_body())])
        assert [store.trim() for _ in range(3)] == [0, 0, 0]
    assert len(dated.ages()) == len(ages) + 1
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "all events would go" in record.getMessage()
    assert record.getMessage().endswith("start once with --confirm-keep.")
    with dated.open(keep, confirm=True) as store:
        assert store.trim() >= len(ages)


def test_workers_that_start_after_the_first_has_stored_an_event_delete_nothing_either(
    dated: Dated,
) -> None:
    dated.add(3, 2, 1)
    dated.set_clock(timedelta(days=40))
    started = uptime()
    first = open_store(dated.address, KEEP, started=started)
    first.write([make_entry(make_body())])
    second = open_store(dated.address, KEEP, started=started)
    assert [first.trim(), second.trim()] == [0, 0]
    assert len(dated.ages()) == 4
    first.close()
    second.close()


def test_events_from_the_future_are_refused_until_they_are_confirmed_and_then_dated_now(
    dated: Dated, caplog: pytest.LogCaptureFixture
) -> None:
    dated.add(50, 2)
    dated.set_clock(timedelta(days=40))
    with open_store(dated.address) as store:
        store.write([make_entry(make_body())])
    dated.set_clock(timedelta())
    assert dated.ages() == [50, 2, -40]
    with dated.open() as store:
        assert store.trim() == 0
    assert "from the future" in caplog.text
    with dated.open(confirm=True) as store:
        assert store.trim() == 1
    assert dated.ages() == [2, 0]
    caplog.clear()
    with dated.open() as store:
        assert store.trim() == 0
    assert "from the future" not in caplog.text


@pytest.mark.parametrize(
    "ahead", [timedelta(days=40), timedelta(days=20_000), timedelta(hours=30 * 24 + 1)]
)
def test_a_clock_that_jumps_ahead_makes_no_event_older(
    dated: Dated, uptimes: list[float], caplog: pytest.LogCaptureFixture, ahead: timedelta
) -> None:
    dated.add(3, 2, 1)
    with dated.open() as store:
        assert store.trim() == 0
        dated.set_clock(ahead)
        store.write([make_entry(make_body())])
        assert [store.trim() for _ in range(3)] == [0, 0, 0]
        assert caplog.text.count("The clock jumped ahead by ") == 1
        dated.set_clock(timedelta())
        assert store.trim() == 0
        assert len(dated.ages()) == 4
        # Time that really passes still makes events older.
        uptimes.append(28.5 * 86_400)
        dated.set_clock(timedelta(days=28.5))
        assert store.trim() == 2


@pytest.mark.parametrize("back", [timedelta(days=20_000), timedelta(days=45)])
def test_a_clock_that_jumps_back_dates_no_event_earlier(
    dated: Dated, caplog: pytest.LogCaptureFixture, back: timedelta
) -> None:
    dated.add(3, 2, 1)
    with dated.open() as store:
        dated.set_clock(-back)
        store.write([make_entry(make_body())])
        assert store.trim() == 0
        assert "The clock jumped back by " in caplog.text
        dated.set_clock(timedelta())
        assert store.trim() == 0
    assert dated.ages() == [3, 2, 1, 0]


def test_events_of_a_first_boot_in_1970_are_spared_until_it_is_confirmed(
    dated: Dated, caplog: pytest.LogCaptureFixture
) -> None:
    dated.set_clock(datetime(1970, 1, 1, tzinfo=UTC) - datetime.now(UTC))
    with dated.open() as store:
        store.write([make_entry(make_body())])
        dated.set_clock(timedelta())
        store.write([make_entry(make_body())])
        assert store.trim() == 0
    with dated.open() as store:
        assert store.trim() == 0
    assert "stored before 2000 by a clock that was wrong" in caplog.text
    with dated.open(confirm=True) as store:
        assert store.trim() == 1
    assert dated.ages() == [0]


def test_a_clock_that_drifts_is_followed(
    dated: Dated, uptimes: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    dated.add(29, 1)
    with dated.open() as store:
        for minutes in range(1, 6):
            uptimes.append(3600)
            dated.set_clock(minutes * timedelta(hours=1, seconds=-40))
            assert store.trim() == 0
        store.write([make_entry(make_body())])
    assert "jumped" not in caplog.text
