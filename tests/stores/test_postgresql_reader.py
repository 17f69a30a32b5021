from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from dlmon.analysis.summaries import Summaries
from dlmon.commands.report import report, report_exactly
from dlmon.config.urls import StoreAddress
from dlmon.errors import StoreUnavailable
from dlmon.runtime.stop import Stop
from dlmon.stores import open_reader
from dlmon.stores.postgresql import PostgresqlReader, PostgresqlStore
from dlmon.stores.reading import Sample
from tests.stores.conftest import PostgresPlace
from tests.support.events import make_body, make_entry
from tests.unit.analysis.stores import everything

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEAR_1 = -62_135_596_800_000
_INSERT = """
    INSERT INTO dlmon_events (event_id, timestamp, latitude, longitude, file_size, download_speed,
        body, stored_at)
    VALUES (gen_random_uuid(), '2026-03-01T12:00Z', 51.9, -8.4, %s, 12.8, '{}', now())"""


@pytest.fixture
def store(postgres: PostgresPlace) -> Iterator[PostgresqlStore]:
    with PostgresqlStore(postgres.address) as store:
        yield store


@pytest.fixture
def reader(store: PostgresqlStore, postgres: PostgresPlace) -> Iterator[PostgresqlReader]:
    with PostgresqlReader(postgres.address) as reader:
        yield reader


class Follower:
    """Reads what a reader has not shown before."""

    def __init__(self, reader: PostgresqlReader) -> None:
        self.cursor: str | None = None
        self._reader = reader

    def sizes(self, limit: int = 2) -> list[int]:
        found = []
        for samples, cursor in self._reader.read_after(self.cursor, limit):
            self.cursor = cursor
            assert 0 < len(samples) <= limit
            found += [sample.file_size for sample in samples]
        return found

    def wait_for(self, events: int) -> list[int]:
        """Transactions of others on the server may keep events back for a while."""
        found: list[int] = []
        deadline = time.monotonic() + 30
        while len(found) < events and time.monotonic() < deadline:
            found += self.sizes()
        return found


def write(store: PostgresqlStore, *sizes: int) -> None:
    store.write([make_entry(make_body(file_size=size)) for size in sizes])


def test_events_come_once_in_the_order_of_storing(
    store: PostgresqlStore, reader: PostgresqlReader
) -> None:
    follower = Follower(reader)
    assert follower.sizes() == []
    write(store, 1, 2, 3)
    write(store, 4)
    assert follower.wait_for(4) == [1, 2, 3, 4]
    write(store, 5)
    assert follower.wait_for(1) == [5]
    assert follower.sizes() == []


def test_how_much_remains_is_known_without_counting(
    store: PostgresqlStore, reader: PostgresqlReader
) -> None:
    follower = Follower(reader)
    assert reader.remaining(None) == 0
    write(store, 1, 2, 3)
    assert reader.remaining(None) == 3
    follower.wait_for(3)
    write(store, 4)
    assert reader.remaining(follower.cursor) == 1


def test_transactions_that_commit_in_another_order_lose_and_repeat_nothing(
    postgres: PostgresPlace, reader: PostgresqlReader
) -> None:
    follower = Follower(reader)
    with (
        psycopg.connect(postgres.address.url) as first,
        psycopg.connect(postgres.address.url) as second,
    ):
        first.execute(_INSERT, (1,))
        second.execute(_INSERT, (2,))
        first.execute(_INSERT, (3,))
        second.commit()
        # The event is there for everybody, and nobody who follows has seen it.
        assert postgres.execute("SELECT file_size FROM dlmon_events") == [(2,)]
        assert follower.sizes() == []
        second.execute(_INSERT, (4,))
        first.commit()
        assert follower.wait_for(3) == [1, 3, 2]
        second.commit()
    assert follower.wait_for(1) == [4]


def test_the_newest_events_are_those_of_transactions_that_have_ended(
    store: PostgresqlStore, reader: PostgresqlReader, postgres: PostgresPlace
) -> None:
    assert reader.newest(0) is None
    write(store, 1, 2, 3)
    write(store, 4)
    follower = Follower(reader)
    follower.wait_for(4)
    assert reader.newest(0) == follower.cursor
    assert reader.newest(4) is None
    cursor = reader.newest(2)
    with psycopg.connect(postgres.address.url) as open_transaction:
        open_transaction.execute(_INSERT, (5,))
        write(store, 6)  # could still come behind the one that is open
        assert reader.newest(2) == cursor
    parts = [(None, cursor), (cursor, follower.cursor)]
    sizes = [
        [sample.file_size for samples, _ in reader.read_after(*part) for sample in samples]
        for part in ((after, 1, until) for after, until in parts)
    ]
    assert sizes == [[1, 2], [3, 4]]


def test_a_sample_has_what_was_stored(store: PostgresqlStore, reader: PostgresqlReader) -> None:
    times = [
        "0001-01-01T00:00:00.0019Z",
        "1969-12-31T23:59:59.9999Z",
        "2026-03-01T13:00:00.123999+01:00",
        "9999-12-31T23:59:59.999999Z",
    ]
    store.write([make_entry(make_body(timestamp=text)) for text in times])
    expected = [
        Sample(
            (datetime.fromisoformat(text) - _EPOCH) // timedelta(milliseconds=1),
            51.935739,
            -8.38847,
            1_596_500,
            12.772,
        )
        for text in times
    ]
    (found,) = reader.read_between(_YEAR_1, 10**15, 10)
    assert found == expected
    assert list(reader.read_between(expected[1].at, expected[2].at, 10)) == [[expected[1]]]
    assert [len(part) for part in reader.read_between(_YEAR_1, 10**15, 3)] == [3, 1]


def test_a_cursor_is_known_until_the_store_is_older_than_it(
    store: PostgresqlStore, reader: PostgresqlReader, postgres: PostgresPlace
) -> None:
    follower = Follower(reader)
    write(store, 1, 2)
    follower.wait_for(2)
    assert follower.cursor is not None
    assert reader.knows(follower.cursor)
    write(store, 3)
    postgres.execute("DELETE FROM dlmon_events WHERE file_size < 3")  # as --keep does
    assert reader.knows(follower.cursor)
    write(store, 4)
    follower.wait_for(2)
    postgres.execute("DELETE FROM dlmon_events WHERE file_size = 4")  # as in an older backup
    assert not reader.knows(follower.cursor)
    assert not reader.knows("12 2026-03-01T12:00:00Z of-another-store")


def test_a_table_in_place_of_another_has_an_identity_of_its_own(
    store: PostgresqlStore, reader: PostgresqlReader, postgres: PostgresPlace
) -> None:
    with PostgresqlReader(postgres.address) as again:
        assert again.identity == reader.identity
    postgres.execute("DROP TABLE dlmon_events")
    store.close()
    store.probe()
    with PostgresqlReader(postgres.address) as other:
        assert other.identity != reader.identity


def test_the_right_to_select_is_enough_to_read(
    store: PostgresqlStore, postgres: PostgresPlace
) -> None:
    write(store, 1)
    postgres.execute(f"GRANT USAGE ON SCHEMA {postgres.schema} TO pg_monitor")
    postgres.execute("GRANT SELECT ON dlmon_events TO pg_monitor")
    limited = StoreAddress(f"{postgres.address.url}%20-crole%3Dpg_monitor")
    with open_reader(limited) as reader:
        assert [len(part) for part in reader.read_between(0, 10**13, 10)] == [1]


def test_a_database_without_a_store_says_who_makes_one(postgres: PostgresPlace) -> None:
    with pytest.raises(StoreUnavailable, match="no table dlmon_events, which `dlmon consume`"):
        open_reader(postgres.address)
    assert postgres.execute("SELECT to_regclass('dlmon_events')") == [(None,)]


def test_reports_agree_and_count_what_comes_later(
    store: PostgresqlStore, reader: PostgresqlReader, tmp_path: Path
) -> None:
    question = everything("continent")
    write(store, *range(100_000, 100_040))
    with Summaries(tmp_path / "summaries.db") as summaries:
        deadline = time.monotonic() + 30
        for size in (40, 41):
            while summaries.events < size and time.monotonic() < deadline:
                summarised = report(question, reader, summaries, Stop()).answer
            exact = report_exactly(question, reader, Stop()).answer
            assert summarised.total.count == exact.total.count == size
            assert [row.key for row in summarised.rows] == [row.key for row in exact.rows]
            write(store, 100_000)
