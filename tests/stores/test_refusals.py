"""One event that a rule of the database refuses is parked alone, with the database's words.

The rules are those that operators add to dlmon's table: policies, triggers, constraints.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from dlmon.config.secrets import Secret
from dlmon.config.urls import StoreAddress
from dlmon.errors import StoreUnavailable
from dlmon.stores import open_store
from dlmon.stores.base import Entry, Store, write_isolating
from dlmon.stores.postgresql import PostgresqlStore
from dlmon.stores.sqlite import SqliteStore
from tests.stores.conftest import PostgresPlace
from tests.support.events import make_body, make_entry

pytestmark = pytest.mark.usefixtures("copied")


def refused_of_twenty(store: Store) -> list[tuple[Entry, str]]:
    """What is refused, and why, of twenty events of which one has a file_size of 13."""
    entries = [make_entry(make_body(file_size=size)) for size in range(20)]
    parts = list(write_isolating(store, [entries]))
    stored = [entry for part in parts for entry in part.stored]
    refused = [pair for part in parts for pair in part.refused]
    assert {violation.code for _, violation in refused} <= {"unstorable"}
    assert stored == [entry for entry in entries if entry not in [each for each, _ in refused]]
    assert [entry.event["file_size"] for entry, _ in refused] == [13]
    # The store goes on as before, and what is refused is no conflict the second time either.
    again = list(write_isolating(store, [entries]))
    assert [entry for part in again for entry in part.duplicates] == stored
    assert [pair for part in again for pair in part.refused] == refused
    return [(entry, violation.reason) for entry, violation in refused]


def add_trigger(postgres: PostgresPlace, body: LiteralString) -> None:
    """Run PL/pgSQL before each row is inserted."""
    postgres.execute(
        "CREATE FUNCTION rule() RETURNS trigger LANGUAGE plpgsql AS $$"
        "BEGIN IF NEW.file_size = 13 THEN " + body + "; END IF; RETURN NEW; END $$;"
        "CREATE TRIGGER rule BEFORE INSERT ON dlmon_events FOR EACH ROW EXECUTE FUNCTION rule()"
    )


@pytest.fixture
def store(postgres: PostgresPlace) -> Iterator[PostgresqlStore]:
    with PostgresqlStore(postgres.address) as store:
        yield store


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("RAISE 'no thirteens'", "no thirteens"),
        ("RAISE 'no thirteens' USING ERRCODE = 'DL001'", "no thirteens"),
        ("RAISE 'no thirteens' USING ERRCODE = '45000'", "no thirteens"),
        # The SQLSTATEs of what passes by itself, when the server says so: not enough memory, a
        # deadlock, a timeout, a server that shuts down.
        ("RAISE 'no thirteens' USING ERRCODE = '53200'", "no thirteens"),
        ("RAISE 'no thirteens' USING ERRCODE = '40P01'", "no thirteens"),
        ("RAISE 'no thirteens' USING ERRCODE = '57014'", "no thirteens"),
        ("RAISE 'no thirteens' USING ERRCODE = '57P01'", "no thirteens"),
        ("PERFORM 1 / (NEW.file_size - 13)", "division by zero"),
        ("INSERT INTO audit VALUES (1)", 'relation "audit" does not exist'),
        ("PERFORM set_config('no such setting', '', true)", "configuration parameter"),
        ("RETURN NULL", "dropped it without an error"),
    ],
)
def test_an_event_that_a_trigger_of_postgresql_refuses_is_parked_alone(
    store: PostgresqlStore, postgres: PostgresPlace, rule: LiteralString, words: str
) -> None:
    add_trigger(postgres, rule)
    ((_, reason),) = refused_of_twenty(store)
    assert words in reason


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (
            "CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS "
            "$$BEGIN RAISE 'no thirteens' USING ERRCODE = 'DL002'; END $$;"
            "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON dlmon_events INITIALLY DEFERRED "
            "FOR EACH ROW WHEN (NEW.file_size = 13) EXECUTE FUNCTION late()",
            "no thirteens",
        ),
        (
            "ALTER TABLE dlmon_events ADD half int GENERATED ALWAYS AS (1 / (file_size - 13)) "
            "STORED",
            "division by zero",
        ),
        (
            "ALTER TABLE dlmon_events ADD small text GENERATED ALWAYS AS "
            "(CASE file_size WHEN 13 THEN NULL ELSE 'x' END) STORED NOT NULL",
            'null value in column "small"',
        ),
    ],
    ids=["deferred trigger", "generated column", "not null"],
)
def test_an_event_that_a_constraint_of_postgresql_refuses_is_parked_alone(
    store: PostgresqlStore, postgres: PostgresPlace, rule: LiteralString, words: str
) -> None:
    postgres.execute(rule)
    ((_, reason),) = refused_of_twenty(store)
    assert words in reason


@pytest.fixture
def restricted(postgres: PostgresPlace) -> Iterator[StoreAddress]:
    """The table by a role that row-level security applies to."""
    open_store(postgres.address).close()
    name = f"dlmon_test_{postgres.schema}"
    with psycopg.connect(postgres.address.url, autocommit=True) as connection:
        for statement in (
            SQL("CREATE ROLE {role} LOGIN PASSWORD 's3cret'"),
            SQL("GRANT USAGE ON SCHEMA {schema} TO {role}"),
            SQL("GRANT INSERT, SELECT ON dlmon_events TO {role}"),
            SQL("ALTER TABLE dlmon_events ENABLE ROW LEVEL SECURITY"),
        ):
            connection.execute(
                statement.format(role=Identifier(name), schema=Identifier(postgres.schema))
            )
        scheme, _, rest = postgres.address.url.partition("://")
        yield StoreAddress(f"{scheme}://{name}@{rest.rpartition('@')[2]}", Secret("s3cret"))
        connection.execute(SQL("DROP OWNED BY {}").format(Identifier(name)))
        connection.execute(SQL("DROP ROLE {}").format(Identifier(name)))


@pytest.mark.parametrize(
    "policies",
    [
        ("CREATE POLICY all_but ON dlmon_events USING (file_size <> 13)",),
        (
            "CREATE POLICY seen ON dlmon_events FOR SELECT USING (true)",
            "CREATE POLICY added ON dlmon_events FOR INSERT WITH CHECK (file_size <> 13)",
        ),
        (
            "CREATE POLICY seen ON dlmon_events FOR SELECT USING (file_size <> 13)",
            "CREATE POLICY added ON dlmon_events FOR INSERT WITH CHECK (true)",
        ),
    ],
    ids=["for all", "for insert", "for select"],
)
def test_an_event_that_row_level_security_refuses_is_parked_alone(
    restricted: StoreAddress, postgres: PostgresPlace, policies: tuple[LiteralString, ...]
) -> None:
    for policy in policies:
        postgres.execute(policy)
    with open_store(restricted) as store:
        ((_, reason),) = refused_of_twenty(store)
    assert "violates row-level security policy" in reason


def test_an_id_that_a_policy_hides_is_not_called_a_conflict(
    restricted: StoreAddress, postgres: PostgresPlace
) -> None:
    hidden, other = make_entry(make_body(file_size=13)), make_entry(make_body())
    with open_store(postgres.address) as owner:
        owner.write([hidden])
    postgres.execute("CREATE POLICY all_but ON dlmon_events USING (file_size <> 13)")
    with open_store(restricted) as store:
        written = store.write([make_entry(make_body(event_id=hidden.event_id)), other])
    assert written.stored == [other]
    ((_, violation),) = written.refused
    assert violation.code == "unstorable"
    assert "a policy of its table" in violation.reason


def test_a_right_that_is_revoked_holds_the_batch(
    restricted: StoreAddress, postgres: PostgresPlace
) -> None:
    postgres.execute("CREATE POLICY every ON dlmon_events USING (true)")
    with open_store(restricted) as store:
        postgres.execute("REVOKE INSERT ON dlmon_events FROM PUBLIC")
        with psycopg.connect(postgres.address.url, autocommit=True) as connection:
            role = Identifier(f"dlmon_test_{postgres.schema}")
            connection.execute(SQL("REVOKE INSERT ON dlmon_events FROM {}").format(role))
        with pytest.raises(StoreUnavailable, match="permission denied"):
            list(write_isolating(store, [[make_entry(make_body())]]))
        with pytest.raises(StoreUnavailable, match="permission denied"):
            store.probe()


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("SELECT RAISE(IGNORE)", "dropped it without an error"),
        ("SELECT RAISE(ABORT, 'no thirteens')", "no thirteens"),
        ("SELECT RAISE(FAIL, 'no thirteens')", "no thirteens"),
        ("SELECT RAISE(ROLLBACK, 'no thirteens')", "no thirteens"),
        ("SELECT json_extract('{', '$.a')", "malformed JSON"),
        ("SELECT abs(-9223372036854775807 - 1)", "integer overflow"),
        ("SELECT zeroblob(2000000000)", "too big"),
    ],
)
def test_an_event_that_a_trigger_of_sqlite_refuses_is_parked_alone(
    tmp_path: Path, rule: str, words: str
) -> None:
    path = tmp_path / "events.db"
    with SqliteStore(path) as store:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(
                "CREATE TRIGGER rule BEFORE INSERT ON stored_events WHEN NEW.file_size = 13 "
                f"BEGIN {rule}; END"
            )
        ((_, reason),) = refused_of_twenty(store)
    assert words in reason


def test_a_trigger_of_sqlite_that_no_event_can_pass_holds_the_batch(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    with SqliteStore(path) as store:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(
                "CREATE TRIGGER rule BEFORE INSERT ON stored_events WHEN NEW.file_size = 13 "
                "BEGIN INSERT INTO audit VALUES (1); END"
            )
        with pytest.raises(StoreUnavailable, match=r"no such table: main\.audit"):
            list(write_isolating(store, [[make_entry(make_body())]]))
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE audit (size)")
        store.probe()
        assert len(store.write([make_entry(make_body())]).stored) == 1


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE stored_events ADD site TEXT NOT NULL DEFAULT 'here'",
        "ALTER TABLE stored_events ADD kb INTEGER AS (file_size / 1000)",
        "ALTER TABLE stored_events ADD note TEXT",
    ],
)
def test_a_table_of_sqlite_with_further_columns_is_written(tmp_path: Path, change: str) -> None:
    path = tmp_path / "events.db"
    SqliteStore(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(change)
    with SqliteStore(path) as store:
        assert len(store.write([make_entry(make_body())]).stored) == 1


@pytest.mark.parametrize(
    "change",
    [
        "DROP VIEW events; ALTER TABLE stored_events DROP COLUMN download_speed",
        "ALTER TABLE stored_events RENAME COLUMN body TO json",
        "ALTER TABLE stored_events RENAME TO old; CREATE VIEW stored_events AS SELECT * FROM old",
    ],
)
def test_a_table_of_sqlite_that_cannot_take_events_is_refused_at_the_start(
    tmp_path: Path, change: str
) -> None:
    path = tmp_path / "events.db"
    SqliteStore(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(change)
    with pytest.raises(StoreUnavailable, match="cannot be used: "):
        SqliteStore(path)


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE dlmon_events ADD kb bigint GENERATED ALWAYS AS (file_size / 1000) STORED",
        "ALTER TABLE dlmon_events ADD number bigint GENERATED ALWAYS AS IDENTITY",
        "ALTER TABLE dlmon_events ADD site text NOT NULL DEFAULT 'here'",
    ],
)
def test_a_table_with_further_columns_is_probed_and_written(
    store: PostgresqlStore, postgres: PostgresPlace, change: LiteralString
) -> None:
    postgres.execute(change)
    store.probe()
    assert len(store.write([make_entry(make_body())]).stored) == 1
