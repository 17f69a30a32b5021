"""A table of dlmon 0.1 is brought over at the first start, whole or not at all."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from dlmon.config.secrets import Secret
from dlmon.config.urls import StoreAddress
from dlmon.errors import StoreUnavailable
from dlmon.stores.postgresql import PostgresqlReader, PostgresqlStore
from dlmon.stores.postgresql.layout import CREATE, RENUMBER, UPGRADE, as_line
from tests.stores.conftest import PostgresPlace
from tests.support.events import make_body, make_entry

_OF_0_1 = """
    CREATE TABLE dlmon_events (
        event_id       text COLLATE "C" PRIMARY KEY,  -- in lower case
        timestamp      timestamptz NOT NULL,
        latitude       double precision NOT NULL,     -- degrees, WGS 84
        longitude      double precision NOT NULL,     -- degrees, WGS 84
        file_size      bigint NOT NULL,               -- bytes
        download_speed double precision NOT NULL,     -- megabits per second
        body           json NOT NULL,                 -- as it came: json, not jsonb, keeps the text
        stored_at      timestamptz NOT NULL
    );
    CREATE INDEX dlmon_events_by_time ON dlmon_events (timestamp);
    CREATE INDEX dlmon_events_by_age ON dlmon_events (stored_at)"""

# The form without hyphens is a UUID for PostgreSQL, and another id for dlmon.
_UUID = "0190ab12-0000-7000-8000-000000000001"
_ODD_IDS = (_UUID.replace("-", ""), f"{{{_UUID}}}", "download 7", "")


def make_old(place: PostgresPlace, *ids: str) -> list[bytes]:
    """The table as dlmon 0.1 made it, with events of these ids."""
    bodies = [make_body(event_id=event_id) for event_id in ids]
    with psycopg.connect(place.address.url, autocommit=True) as connection:
        connection.execute(_OF_0_1)
        connection.cursor().executemany(
            "INSERT INTO dlmon_events VALUES "
            "(%s, '2026-03-01T12:00Z', 51.9, -8.4, 1596500, 12.8, %s, now() - interval '3 days')",
            [(event_id, body.decode()) for event_id, body in zip(ids, bodies, strict=True)],
        )
    return bodies


@pytest.mark.parametrize("odd", [(), _ODD_IDS], ids=["uuids", "other ids"])
def test_old_events_keep_their_identity_and_can_be_followed(
    postgres: PostgresPlace,
    odd: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(logging.getLogger("dlmon"), "propagate", True)
    caplog.set_level(logging.INFO)
    ids = (_UUID, *odd)
    bodies = make_old(postgres, *ids)
    with PostgresqlStore(postgres.address) as store:
        old = [make_entry(body) for body in bodies]
        assert store.write(old).duplicates == old
        others = [make_entry(make_body(event_id=event_id.upper(), file_size=7)) for event_id in ids]
        codes = [violation.code for _, violation in store.write(others).refused]
        assert codes == ["id-conflict"] * len(ids)
    assert sorted(postgres.bodies()) == sorted(bodies)
    found = postgres.execute(
        "SELECT event_id::text, other_id, now() - stored_at > interval '2 days' FROM dlmon_events"
    )
    expected = [(_UUID, None, True), *((None, event_id, True) for event_id in odd)]
    assert sorted(found, key=str) == sorted(expected, key=str)
    assert len(
        {position for (position,) in postgres.execute("SELECT position FROM dlmon_events")}
    ) == len(ids)
    (begun, *steps) = [
        message for message in caplog.messages if "0.1" in message or "Step" in message
    ]
    assert "Bringing the PostgreSQL table over" in begun
    assert len(steps) >= 3


def test_a_table_that_was_brought_over_is_like_a_new_one(postgres: PostgresPlace) -> None:
    def describe() -> list[tuple[str, ...]]:
        return postgres.execute(
            "SELECT attname::text, format_type(atttypid, NULL), attnotnull::text, "
            "attidentity::text, pg_get_expr(adbin, adrelid) FROM pg_attribute "
            "LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum "
            "WHERE attrelid = 'dlmon_events'::regclass AND attnum > 0 AND NOT attisdropped "
            "UNION ALL SELECT conname::text, pg_get_constraintdef(oid), '', '', '' "
            "FROM pg_constraint WHERE conrelid = 'dlmon_events'::regclass "
            "UNION ALL SELECT indexname::text, indexdef, '', '', '' FROM pg_indexes "
            "WHERE schemaname = current_schema() AND tablename = 'dlmon_events' ORDER BY 1, 2"
        )

    PostgresqlStore(postgres.address).close()
    new = describe()
    for ids in ((_UUID,), (_UUID, "odd")):
        postgres.execute("DROP TABLE dlmon_events")
        make_old(postgres, *ids)
        PostgresqlStore(postgres.address).close()
        assert describe() == new


def test_consumers_that_start_together_bring_a_table_over_once(postgres: PostgresPlace) -> None:
    make_old(postgres, _UUID, "odd")
    together = threading.Barrier(4)

    def start() -> None:
        together.wait()
        with PostgresqlStore(postgres.address) as store:
            store.write([make_entry(make_body())])

    with ThreadPoolExecutor(4) as threads:
        for future in [threads.submit(start) for _ in range(4)]:
            future.result()
    assert len(postgres.bodies()) == 6


def test_what_is_in_the_way_is_named_and_the_table_stays_as_it_was(
    postgres: PostgresPlace,
) -> None:
    make_old(postgres, _UUID, "odd")
    postgres.execute("CREATE VIEW mine AS SELECT event_id FROM dlmon_events")
    with pytest.raises(StoreUnavailable, match="stays as it was: cannot alter type of a column"):
        PostgresqlStore(postgres.address)
    assert sorted(postgres.execute("SELECT event_id FROM mine")) == [(_UUID,), ("odd",)]
    postgres.execute("DROP VIEW mine")
    PostgresqlStore(postgres.address).close()


def test_triggers_and_rights_of_users_stay_and_do_not_fire(postgres: PostgresPlace) -> None:
    make_old(postgres, _UUID, "odd")
    postgres.execute(
        "CREATE FUNCTION rule() RETURNS trigger LANGUAGE plpgsql AS "
        "$$BEGIN RAISE 'it fired'; END $$;"
        "CREATE TRIGGER rule BEFORE INSERT OR UPDATE ON dlmon_events "
        "FOR EACH ROW EXECUTE FUNCTION rule();"
        "GRANT SELECT ON dlmon_events TO PUBLIC"
    )
    with PostgresqlStore(postgres.address) as store, pytest.raises(Exception, match="it fired"):
        store.write([make_entry(make_body())])
    assert postgres.execute(
        "SELECT has_table_privilege('pg_monitor', 'dlmon_events', 'SELECT')"
    ) == [(True,)]


@pytest.fixture
def limited(postgres: PostgresPlace) -> Iterator[StoreAddress]:
    """The login of a role that may see the schema, and use tables that are made."""
    name = f"dlmon_limited_{postgres.schema}"
    with psycopg.connect(postgres.address.url, autocommit=True) as connection:
        for text in (
            "CREATE ROLE {role} LOGIN PASSWORD 's3cret'",
            "GRANT USAGE ON SCHEMA {schema} TO {role}",
            "ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT, INSERT ON TABLES TO {role}",
        ):
            statement = SQL(text).format(role=Identifier(name), schema=Identifier(postgres.schema))
            connection.execute(statement)
        scheme, _, rest = postgres.address.url.partition("://")
        yield StoreAddress(f"{scheme}://{name}@{rest.rpartition('@')[2]}", Secret("s3cret"))
        connection.execute(SQL("DROP OWNED BY {}").format(Identifier(name)))
        connection.execute(SQL("DROP ROLE {}").format(Identifier(name)))


@pytest.mark.parametrize("old", [False, True], ids=["create", "bring over"])
def test_a_role_without_rights_is_given_the_sql_that_an_owner_runs(
    postgres: PostgresPlace, limited: StoreAddress, old: bool
) -> None:
    if old:
        make_old(postgres, _UUID, "odd")
    with pytest.raises(StoreUnavailable) as caught:
        PostgresqlStore(limited)
    sql = re.search(r"BEGIN;.*COMMIT", str(caught.value))
    assert sql, caught.value
    with psycopg.connect(postgres.address.url, autocommit=True) as connection:
        connection.execute(sql[0])
    entry = make_entry(make_body())
    with PostgresqlStore(limited) as store:
        assert store.write([entry]).stored == [entry]


def test_the_documented_sql_is_what_dlmon_runs() -> None:
    page = Path(__file__).parents[2].joinpath("docs/stores.md").read_text()
    documented = [as_line(block) for block in re.findall(r"```sql\n(.*?)```", page, re.DOTALL)]
    for statements in (CREATE, UPGRADE, (RENUMBER,)):
        assert as_line(*statements) in {block.rstrip("; ") for block in documented}


def test_events_that_were_restored_from_another_server_are_followed(
    postgres: PostgresPlace, limited: StoreAddress
) -> None:
    with PostgresqlStore(postgres.address) as store:
        store.write([make_entry(make_body()) for _ in range(3)])
    # As in a dump of a server that had counted further.
    postgres.execute("UPDATE dlmon_events SET transaction = '9000000000000'")
    with pytest.raises(StoreUnavailable, match="run this SQL: UPDATE dlmon_events"):
        PostgresqlReader(postgres.address)
    with PostgresqlStore(limited) as store:  # who may not mend it can store
        store.write([make_entry(make_body())])
    PostgresqlStore(postgres.address).close()
    PostgresqlReader(postgres.address).close()
