from __future__ import annotations

import secrets
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import orjson
import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from dlmon.config.secrets import Secret
from dlmon.config.urls import StoreAddress
from dlmon.errors import EventsRefused, SettingsError, StoreUnavailable
from dlmon.stores.base import write_isolating
from dlmon.stores.postgresql import PostgresqlStore, copying
from dlmon.stores.retention import FIRST_STEP
from tests.stores.conftest import PostgresPlace
from tests.support.events import make_body, make_entry, make_event
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.usefixtures("copied")


@pytest.fixture
def store(postgres: PostgresPlace) -> Iterator[PostgresqlStore]:
    with PostgresqlStore(postgres.address) as store:
        yield store


@pytest.fixture
def role(postgres: PostgresPlace) -> Iterator[str]:
    """One that may do nothing yet but see the schema."""
    name = f"dlmon_test_{secrets.token_hex(6)}"
    with psycopg.connect(postgres.address.url, autocommit=True) as connection:
        (schema,) = connection.execute("SELECT current_schema()").fetchone() or ("",)
        connection.execute(SQL("CREATE ROLE {} LOGIN PASSWORD 's3cret'").format(Identifier(name)))
        grant = SQL("GRANT USAGE ON SCHEMA {} TO {}")
        connection.execute(grant.format(Identifier(schema), Identifier(name)))
        yield name
        connection.execute(SQL("DROP OWNED BY {}").format(Identifier(name)))
        connection.execute(SQL("DROP ROLE {}").format(Identifier(name)))


def allow(postgres: PostgresPlace, rights: str, role: str) -> None:
    with psycopg.connect(postgres.address.url, autocommit=True) as connection:
        grant = SQL("GRANT {} ON dlmon_events TO {}")
        connection.execute(grant.format(SQL(rights), Identifier(role)))


def as_role(postgres: PostgresPlace, role: str) -> StoreAddress:
    scheme, _, rest = postgres.address.url.partition("://")
    return StoreAddress(f"{scheme}://{role}@{rest.rpartition('@')[2]}", Secret("s3cret"))


def test_an_event_is_stored_in_typed_columns(
    store: PostgresqlStore, postgres: PostgresPlace
) -> None:
    event = make_event(timestamp="2026-03-01T12:00:00.25+02:00", file_size=10, agent="é")
    before = datetime.now(UTC)
    store.write([make_entry(orjson.dumps(event, option=orjson.OPT_INDENT_2))])
    ((*columns, stored_at),) = postgres.execute(
        "SELECT event_id, timestamp, latitude, longitude, file_size, download_speed, "
        "body->>'agent', stored_at FROM dlmon_events"
    )
    time = datetime(2026, 3, 1, 10, microsecond=250_000, tzinfo=UTC)
    assert columns == [uuid.UUID(event["event_id"]), time, 51.935739, -8.38847, 10, 12.772, "é"]
    assert abs(stored_at - before) < timedelta(minutes=1)


def test_a_connection_that_breaks_is_made_again(postgres: PostgresPlace) -> None:
    first, second = make_entry(make_body()), make_entry(make_body())
    name = secrets.token_hex(6)  # so that nobody else's connections are ended
    with PostgresqlStore(StoreAddress(f"{postgres.address.url}&application_name={name}")) as store:
        store.write([first])
        with psycopg.connect(postgres.address.url, autocommit=True) as other:
            ended = other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = %s",
                [name],
            )
            assert ended.fetchall() == [(True,)]
        with pytest.raises(StoreUnavailable, match="terminating connection"):
            store.write([second])
        assert store.write([second]).stored == [second]
        assert store.write([first, second]).duplicates == [first, second]


@pytest.mark.parametrize("way", ["stop", "kill"])
def test_a_server_that_restarts_has_what_it_had_and_is_written_to_again(
    breakable: PostgresPlace, postgres_server: PostgresServer, way: str
) -> None:
    first, second = make_entry(make_body()), make_entry(make_body())
    with PostgresqlStore(breakable.address) as store:
        store.write([first])
        getattr(postgres_server, way)()
        for attempt in (lambda: store.write([second]), store.probe, lambda: store.write([second])):
            with pytest.raises(StoreUnavailable):
                attempt()
        postgres_server.start()
        store.probe()
        assert store.write([first, second]).stored == [second]
    assert breakable.bodies() == [first.body, second.body]


def test_writers_of_the_same_events_store_each_once(
    store: PostgresqlStore, postgres: PostgresPlace
) -> None:
    entries = [make_entry(make_body()) for _ in range(300)]
    together = threading.Barrier(4)

    def write() -> int:
        with PostgresqlStore(postgres.address) as own:
            together.wait()
            stored = 0
            for start in range(0, len(entries), 50):
                stored += len(own.write(entries[start : start + 50]).stored)
            return stored

    with ThreadPoolExecutor(4) as threads:
        stored = [future.result() for future in [threads.submit(write) for _ in range(4)]]
    assert sum(stored) == len(entries)
    assert sorted(postgres.bodies()) == sorted(entry.body for entry in entries)
    store.probe()


def test_consumers_that_start_together_create_the_table_once(postgres: PostgresPlace) -> None:
    together = threading.Barrier(8)

    def start() -> None:
        together.wait()
        PostgresqlStore(postgres.address).close()

    with ThreadPoolExecutor(8) as threads:
        for future in [threads.submit(start) for _ in range(8)]:
            future.result()
    assert postgres.bodies() == []


def test_a_batch_larger_than_a_statement_is_still_one_commit(
    store: PostgresqlStore, postgres: PostgresPlace
) -> None:
    entries = [make_entry(make_body(note="x" * 3_000_000)) for _ in range(5)]
    other = make_entry(make_body(event_id=entries[0].event_id))
    written = store.write([*entries, other, entries[4]])
    assert written.stored == entries
    assert written.duplicates == [entries[4]]
    assert [violation.code for _, violation in written.refused] == ["id-conflict"]
    postgres.be_picky()
    more = [make_entry(make_body(note="x" * 3_000_000, file_size=size)) for size in range(9, 14)]
    with pytest.raises(EventsRefused):
        store.write(more)
    assert len(postgres.bodies()) == 5


def test_an_id_that_no_index_can_hold_is_refused_alone(store: PostgresqlStore) -> None:
    entries = [make_entry(make_body()) for _ in range(3)]
    entries[1] = make_entry(make_body(event_id=secrets.token_hex(10_000)))
    parts = list(write_isolating(store, [entries]))
    assert [entry for part in parts for entry in part.stored] == [entries[0], entries[2]]
    ((refused, violation),) = [pair for part in parts for pair in part.refused]
    assert refused is entries[1]
    assert "index row requires" in violation.reason


def test_a_commit_is_durable_whatever_the_role_prefers(postgres: PostgresPlace) -> None:
    for given, used in (("off", "on"), ("local", "local"), ("remote_apply", "remote_apply")):
        options = f"%20-csynchronous_commit%3D{given}"
        with (
            PostgresqlStore(StoreAddress(postgres.address.url + options)) as store,
            store._transaction() as connection,  # only the connection itself can tell
        ):
            assert connection.execute("SHOW synchronous_commit").fetchone() == (used,)


def test_tables_of_something_else_are_left_alone(postgres: PostgresPlace) -> None:
    postgres.execute("CREATE TABLE dlmon_events (event_id uuid, body json)")
    with pytest.raises(StoreUnavailable, match="lacks timestamp timestamp with time"):
        PostgresqlStore(postgres.address)
    assert (
        len(
            postgres.execute(
                "SELECT 1 FROM pg_attribute WHERE attrelid = "
                "'dlmon_events'::regclass AND attnum > 0"
            )
        )
        == 2
    )


def test_a_table_may_have_columns_more(store: PostgresqlStore, postgres: PostgresPlace) -> None:
    postgres.execute("ALTER TABLE dlmon_events ADD site text DEFAULT 'here'")
    entry = make_entry(make_body())
    with PostgresqlStore(postgres.address) as other:
        assert other.write([entry]).stored == [entry]
    assert store.write([entry]).duplicates == [entry]
    assert postgres.execute("SELECT site FROM dlmon_events") == [("here",)]


def test_a_table_whose_ids_are_not_unique_is_no_store(
    store: PostgresqlStore, postgres: PostgresPlace
) -> None:
    postgres.execute("ALTER TABLE dlmon_events DROP CONSTRAINT dlmon_events_event_id_key")
    with pytest.raises(StoreUnavailable, match="unique"):
        store.probe()


def test_a_database_that_cannot_hold_every_json_text_is_refused(postgres: PostgresPlace) -> None:
    name = f"dlmon_test_{secrets.token_hex(6)}"
    with psycopg.connect(postgres.address.url, autocommit=True) as connection:
        create = SQL("CREATE DATABASE {} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
        connection.execute(create.format(Identifier(name)))
        base, _, _ = postgres.address.url.partition("?")
        with pytest.raises(StoreUnavailable, match="not UTF8"):
            PostgresqlStore(StoreAddress(f"{base.rpartition('/')[0]}/{name}"))
        connection.execute(SQL("DROP DATABASE {}").format(Identifier(name)))


def test_the_rights_to_insert_and_select_are_enough(
    store: PostgresqlStore, postgres: PostgresPlace, role: str
) -> None:
    entry = make_entry(make_body())
    with pytest.raises(StoreUnavailable, match="permission denied"):
        PostgresqlStore(as_role(postgres, role))
    allow(postgres, "INSERT, SELECT", role)
    with PostgresqlStore(as_role(postgres, role)) as limited:
        assert limited.write([entry]).stored == [entry]
        assert limited.write([entry]).duplicates == [entry]
    with pytest.raises(StoreUnavailable, match="permission denied"):
        PostgresqlStore(as_role(postgres, role), timedelta(days=1))
    allow(postgres, "UPDATE, DELETE", role)  # the first to lock what is to be deleted
    PostgresqlStore(as_role(postgres, role), timedelta(days=1)).close()


def test_a_role_that_may_not_create_the_table_is_told(postgres: PostgresPlace, role: str) -> None:
    with pytest.raises(StoreUnavailable, match=r"permission denied for schema .* dlmon_events"):
        PostgresqlStore(as_role(postgres, role))


def test_what_was_stored_long_ago_goes_in_steps_and_the_rest_stays(postgres: PostgresPlace) -> None:
    with PostgresqlStore(postgres.address, timedelta(days=30)) as store:
        store.write([make_entry(make_body()) for _ in range(FIRST_STEP + 1)])
        postgres.execute("UPDATE dlmon_events SET stored_at = now() - interval '31 days'")
        young = make_entry(make_body(timestamp="2001-01-01T00:00:00Z"))
        store.write([young])
        with psycopg.connect(postgres.address.url) as other:
            # A row that another consumer deletes at the moment is left to it.
            other.execute("SELECT 1 FROM dlmon_events LIMIT 1 FOR UPDATE")
            assert store.trim() == FIRST_STEP
            other.rollback()
        assert [store.trim(), store.trim()] == [1, 0]
    assert postgres.bodies() == [young.body]


def test_a_server_that_is_not_there_is_unavailable_and_the_password_stays_secret() -> None:
    address = StoreAddress("postgresql://ada:s3cret@127.0.0.1:1/events?sslpassword=s3cret")
    with pytest.raises(StoreUnavailable, match="refused") as caught:
        PostgresqlStore(address)
    assert "postgresql://ada:***@127.0.0.1:1/events" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_url_that_libpq_cannot_read_is_refused_without_its_secrets() -> None:
    address = StoreAddress("postgresql://ada:s3cret@db/events?s3cret=1")
    with pytest.raises(SettingsError) as caught:
        PostgresqlStore(address)
    assert "s3cret" not in str(caught.value)


def test_new_events_are_copied_and_those_that_are_there_are_found_by_insert(
    store: PostgresqlStore, postgres: PostgresPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(copying, "_PAUSE", 2)
    postgres.execute(
        "CREATE TABLE ways (way text);"
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$"
        "BEGIN INSERT INTO ways VALUES (left(ltrim(current_query(), E' \\n'), 6)); RETURN NULL; "
        "END $$;"
        "CREATE TRIGGER note AFTER INSERT ON dlmon_events EXECUTE FUNCTION note()"
    )
    batches = [[make_entry(make_body()) for _ in range(copying.FEWEST)] for _ in range(5)]
    batches[1][7] = batches[0][7]
    for batch in (*batches, batches[4][1:]):
        written = store.write(batch)
        assert [*written.stored, *written.duplicates] == sorted(batch, key=written.duplicates.count)
    ways = [way for (way,) in postgres.execute("SELECT way FROM ways ORDER BY ctid")]
    assert ways == ["COPY d", "INSERT", "INSERT", "COPY d", "COPY d", "INSERT"]
