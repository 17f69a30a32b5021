"""An id is stored once, whichever of the tables of ids has it; these agree with the rows."""

from __future__ import annotations

import sqlite3
import tempfile
import uuid
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlmon.stores import retention, sqlite_ids
from dlmon.stores.base import Entry
from dlmon.stores.sqlite import SqliteStore
from dlmon.stores.sqlite_layout import to_key, to_keys
from tests.support.events import make_body, make_entry
from tests.support.kills import killed_before_statement

_TABLES = ("event_ids_new", "event_ids_recent", "event_ids")
_ASCENDING = 0x019A_0000_0000_7000_8000_0000_0000_0000

ids = st.one_of(
    st.integers(0, 40).map(lambda number: str(uuid.UUID(int=number << 122 | 7))),
    st.integers(0, 20).map(lambda number: str(uuid.UUID(int=_ASCENDING + number))),
    st.sampled_from(["", "a", "é", "zzz", str(uuid.UUID(int=_ASCENDING)).upper()]),
)
batches = st.lists(st.tuples(ids, st.integers(0, 1)), min_size=1, max_size=12)
actions = st.lists(
    st.tuples(st.integers(0, 1), st.one_of(batches, st.just("restart"), ids.map(lambda i: {i}))),
    max_size=12,
)


@pytest.fixture(autouse=True)
def small_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids are moved on soon."""
    monkeypatch.setattr(sqlite_ids, "_LIMITS", (6, 12))
    monkeypatch.setattr(sqlite_ids, "_SLICE", 3)
    monkeypatch.setattr(sqlite_ids, "_NEAR_END", 2)


def entry(event_id: str, size: int = 0) -> Entry:
    return make_entry(make_body(event_id=event_id, file_size=size))


def random_entries(count: int) -> list[Entry]:
    return [entry(str(uuid.uuid4())) for _ in range(count)]


def filled(path: Path) -> dict[str, int]:
    """How many ids each table has, once they have been compared with the rows."""
    with closing(sqlite3.connect(path)) as connection:
        pairs = " UNION ALL ".join(f"SELECT event_id, row FROM {name}" for name in _TABLES)  # noqa: S608
        found = connection.execute(f"{pairs} ORDER BY row").fetchall()
        rows = connection.execute("SELECT event_id, row FROM stored_events ORDER BY row")
        assert found == rows.fetchall()
        assert len(set(found)) == len(found)
        return {
            name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]  # noqa: S608
            for name in _TABLES
        }


def bodies(path: Path) -> list[bytes]:
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT body FROM stored_events ORDER BY row")
        return [body.encode() for (body,) in rows]


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(actions)
def test_two_consumers_that_start_again_at_any_time_agree_with_a_dictionary(
    steps: Sequence[tuple[int, list[tuple[str, int]] | set[str] | str]],
) -> None:
    model: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.db"
        stores = [SqliteStore(path), SqliteStore(path)]
        for who, what in steps:
            if what == "restart":
                stores[who].close()
                stores[who] = SqliteStore(path)
            elif isinstance(what, set):  # deleted by hand
                for event_id in what:
                    model.pop(event_id.lower(), None)
                    with closing(sqlite3.connect(path)) as connection, connection:
                        connection.execute(
                            "DELETE FROM events WHERE event_id = ?", (event_id.lower(),)
                        )
            elif isinstance(what, list):
                entries = [entry(event_id, size) for event_id, size in what]
                stored: list[Entry] = []
                duplicates: list[Entry] = []
                conflicts: list[Entry] = []
                for one in entries:
                    known = model.setdefault(one.event_id.lower(), one.body)
                    if known is one.body:
                        stored.append(one)
                    else:
                        (duplicates if known == one.body else conflicts).append(one)
                written = stores[who].write(entries)
                assert list(written.stored) == stored
                assert list(written.duplicates) == duplicates
                assert [one for one, _ in written.refused] == conflicts
        for store in stores:
            store.close()
        filled(path)
        assert sorted(bodies(path)) == sorted(model.values())


def test_random_ids_reach_the_last_table_and_are_known_in_each(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    entries = random_entries(100)
    with SqliteStore(path) as store:
        for start in range(0, 100, 5):
            store.write(entries[start : start + 5])
        assert all(filled(path).values())
        assert store.write(entries).duplicates == entries
    assert bodies(path) == [one.body for one in entries]


def test_ids_that_begin_with_the_time_are_never_collected(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    with SqliteStore(path) as store:
        for start in range(0, 100, 5):
            numbers = range(start, start + 5)
            store.write([entry(str(uuid.UUID(int=_ASCENDING + number))) for number in numbers])
    assert filled(path) == {"event_ids_new": 0, "event_ids_recent": 0, "event_ids": 100}


@pytest.mark.slow
def test_a_kill_at_any_statement_leaves_whole_batches(tmp_path: Path) -> None:
    entries = random_entries(40)
    together = [entries[start : start + 10] for start in range(0, 40, 10)]

    def write(path: Path) -> None:
        with SqliteStore(path) as store:
            for batch in together:
                store.write(batch)

    number = 0
    killed = True
    counts = set()
    while killed:
        number += 9  # of some 130 statements; the tables change in each batch
        path = tmp_path / f"{number}.db"
        killed = killed_before_statement(number, lambda path=path: write(path))  # type: ignore[misc]
        with SqliteStore(path) as store:
            filled(path)
            present = len(bodies(path))
            counts.add(present)
            assert present % 10 == 0
            assert store.write(entries).duplicates == entries[:present]
            filled(path)
    assert counts == {0, 10, 20, 30, 40}


def test_trimming_forgets_ids_in_all_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_PAUSE", 0.0)
    path = tmp_path / "events.db"
    entries = random_entries(60)
    with SqliteStore(path, timedelta(days=30)) as store:
        for start in range(0, 60, 5):
            store.write(entries[start : start + 5])
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE stored_events SET stored_at = stored_at - 31 * 86400000000")
        store.write(random_entries(1))
        assert store.trim() == 60
        assert sum(filled(path).values()) == 1
        assert store.write(entries).stored == entries


def test_the_log_stays_short_while_events_are_deleted(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    with SqliteStore(path) as store:
        for _ in range(6):
            store.write([make_entry(make_body(note="x" * 3_000)) for _ in range(1_000)])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE stored_events SET stored_at = 1e15")
    sizes = []
    with SqliteStore(path, timedelta(days=1), confirm_keep=True) as store:
        while store.trim():
            sizes.append(path.with_name("events.db-wal").stat().st_size)
    assert bodies(path) == []
    # A step of 2,000 events at most changes some pages more than it takes to a checkpoint.
    assert max(sizes) < 16_000_000


def test_a_row_that_was_deleted_from_the_table_can_come_again(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    (one,) = random_entries(1)
    with SqliteStore(path) as store:
        store.write([one])
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("DELETE FROM stored_events")
        assert store.write([one]).stored == [one]
        assert store.write([one]).duplicates == [one]
    filled(path)


uuids = st.uuids().map(str)


@given(
    st.lists(
        st.one_of(
            uuids,
            st.text(alphabet="0123456789abcdefg- \u0660", min_size=34, max_size=38),
            # As long as a UUID, and with as many digits, spaces or dashes in other places.
            uuids.map(lambda event_id: event_id.replace("-", " ")),
            uuids.map(lambda event_id: f"{event_id[:-2]}  "),
            uuids.map(lambda event_id: f"{event_id[1:]}-"),
            st.text(max_size=3),
        ),
        max_size=4,
    )
)
def test_ids_of_a_batch_are_the_same_in_a_column_as_each_alone(event_ids: list[str]) -> None:
    assert to_keys(event_ids) == [*map(to_key, event_ids)]


def test_an_id_is_found_whatever_kind_the_last_one_is(tmp_path: Path) -> None:
    texts, uuids = (
        [entry("a"), entry("zzz")],
        [entry(str(uuid.UUID(int=7))), entry(str(uuid.UUID(int=2**128 - 1)))],
    )
    with SqliteStore(tmp_path / "events.db") as store:
        for batch in ([texts[1]], uuids, [texts[0]]):
            store.write(batch)
        assert store.write(texts + uuids).duplicates == texts + uuids
        assert store.known([entry.event_id for entry in texts + uuids] + ["b"]) == {
            entry.event_id for entry in texts + uuids
        }
