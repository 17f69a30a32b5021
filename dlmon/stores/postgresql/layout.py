"""The table of a store: how it is created, and brought over from the layout of dlmon 0.1.

An id that is a UUID, in the form of RFC 9562, is in `event_id`; any other one is in `other_id`.
Events are followed in the order of (transaction, position): see `dlmon.stores.postgresql.reader`.
"""

from __future__ import annotations

import logging
import re
import time
from typing import LiteralString

import psycopg

from dlmon.stores.postgresql.database import Connection, Database, reason_of

TABLE = "dlmon_events"

_OLD_COLUMNS = {
    "event_id": "text",
    "timestamp": "timestamp with time zone",
    "latitude": "double precision",
    "longitude": "double precision",
    "file_size": "bigint",
    "download_speed": "double precision",
    "body": "json",
    "stored_at": "timestamp with time zone",
}
_COLUMNS = {
    **_OLD_COLUMNS,
    "event_id": "uuid",
    "other_id": "text",
    "transaction": "xid8",
    "position": "bigint",
}

CREATE: tuple[LiteralString, ...] = (
    """
    CREATE TABLE dlmon_events (
        event_id       uuid UNIQUE,
        other_id       text COLLATE "C",              -- in lower case; of ids that are no UUIDs
        timestamp      timestamptz NOT NULL,
        latitude       double precision NOT NULL,     -- degrees, WGS 84
        longitude      double precision NOT NULL,     -- degrees, WGS 84
        file_size      bigint NOT NULL,               -- bytes
        download_speed double precision NOT NULL,     -- megabits per second
        body           json NOT NULL,                 -- as it came: json, not jsonb, keeps the text
        stored_at      timestamptz NOT NULL,
        transaction    xid8 NOT NULL DEFAULT pg_current_xact_id(),
        position       bigint GENERATED ALWAYS AS IDENTITY,
        PRIMARY KEY (transaction, position),
        CHECK ((event_id IS NULL) <> (other_id IS NULL))
    )""",
    """
    CREATE UNIQUE INDEX dlmon_events_other_id ON dlmon_events (other_id)
        WHERE other_id IS NOT NULL""",
    "CREATE INDEX dlmon_events_by_time ON dlmon_events (timestamp)",
    "CREATE INDEX dlmon_events_by_age ON dlmon_events (stored_at)",
)

# ALTER TABLE keeps what users have added: columns, rights, constraints, triggers and policies. It
# writes the table anew without firing triggers, as UPDATE would. That DEFAULT gives every row the
# transaction that does it: it is computed once.
_ADD_OTHER_IDS: tuple[LiteralString, ...] = (
    """
    ALTER TABLE dlmon_events ADD other_id text COLLATE "C" GENERATED ALWAYS AS (CASE
        WHEN event_id !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN event_id END) STORED""",
    "ALTER TABLE dlmon_events ALTER other_id DROP EXPRESSION",
)
UPGRADE: tuple[LiteralString, ...] = (
    *_ADD_OTHER_IDS,
    """
    ALTER TABLE dlmon_events
        DROP CONSTRAINT dlmon_events_pkey,
        ALTER event_id DROP NOT NULL,
        ALTER event_id TYPE uuid USING CASE WHEN other_id IS NULL THEN event_id::uuid END,
        ADD transaction xid8 NOT NULL DEFAULT pg_current_xact_id(),
        ADD position bigint GENERATED ALWAYS AS IDENTITY""",
    """
    ALTER TABLE dlmon_events ADD PRIMARY KEY (transaction, position), ADD UNIQUE (event_id),
        ADD CHECK ((event_id IS NULL) <> (other_id IS NULL))""",
    """
    CREATE UNIQUE INDEX dlmon_events_other_id ON dlmon_events (other_id)
        WHERE other_id IS NOT NULL""",
)
# Where all ids are UUIDs, a column without values saves writing the table once.
_ADD_NO_OTHER_IDS: LiteralString = 'ALTER TABLE dlmon_events ADD other_id text COLLATE "C"'
_HAS_OTHER_IDS = """
    SELECT EXISTS (SELECT FROM dlmon_events
        WHERE event_id !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$')"""

RENUMBER: LiteralString = """
    UPDATE dlmon_events SET transaction = pg_current_xact_id()
    WHERE transaction >= pg_snapshot_xmax(pg_current_snapshot())"""
"""A dump that is restored on another server brings transactions along that are yet to come there:
their events could not be followed."""

_IS_AHEAD = """
    SELECT transaction >= pg_snapshot_xmax(pg_current_snapshot()) FROM dlmon_events
    ORDER BY transaction DESC, position DESC LIMIT 1"""

# PostgreSQL takes more forms for a UUID; as ids, they are not the same.
is_uuid = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch
"""Whether an id in lower case belongs to the column of UUIDs."""

_ADVISORY_LOCK = 0x646C6D65  # held while the table is made, so that only one consumer does

_FIND_COLUMNS = """
    SELECT attname, format_type(atttypid, NULL) FROM pg_attribute
    WHERE attrelid = to_regclass('dlmon_events') AND attnum > 0 AND NOT attisdropped"""

_SIZE = """
    SELECT greatest(reltuples, 0)::bigint, pg_size_pretty(pg_table_size(oid))
    FROM pg_class WHERE oid = 'dlmon_events'::regclass"""

_NO_TIMEOUTS = """
    SELECT set_config('statement_timeout', '0', true), set_config('lock_timeout', '0', true)"""

# Whoever wants the table waits meanwhile for those who have it.
_LOCK_TABLE: tuple[LiteralString, ...] = (
    "SET LOCAL lock_timeout = '60s'",
    "LOCK TABLE dlmon_events IN ACCESS EXCLUSIVE MODE",
    "SET LOCAL lock_timeout = 0",
)

_log = logging.getLogger(__name__)


def prepare(connection: Connection, database: Database) -> None:
    """See to it that the table is there, and in the layout of this version.

    Raises: StoreUnavailable, psycopg.Error.
    """
    with connection.transaction():
        found = _columns(connection)
        if not found or _is_old(found):
            found = _make(connection, database)
    problem = _problem_with(found)
    if problem is not None:
        raise database.unavailable(problem)
    with connection.transaction():
        connection.execute("SET LOCAL lock_timeout = '1s'")
        ahead = _is_ahead(connection)
    if ahead:
        _renumber(connection)


def _problem_with(columns: dict[str, str]) -> str | None:
    """What keeps a table with these columns, by name, from being the one of dlmon."""
    missing = [f"{name} {kind}" for name, kind in _COLUMNS.items() if columns.get(name) != kind]
    if missing:
        return f"its table {TABLE} is not the one of dlmon: it lacks {', '.join(missing)}"
    return None


def problem_for_reading(connection: Connection) -> str | None:
    """What keeps the table from being read, and what to do about it."""
    found = _columns(connection)
    if not found:
        return f"it has no table {TABLE}, which `dlmon consume` creates"
    if _is_old(found):
        return f"its table {TABLE} has the layout of dlmon 0.1; `dlmon consume` brings it over"
    if problem := _problem_with(found):
        return problem
    if _is_ahead(connection):
        return f"it was restored from another server; run this SQL: {as_line(RENUMBER)}"
    return None


def _is_ahead(connection: Connection) -> bool:
    """Whether events have transactions that this server has not begun."""
    row = connection.execute(_IS_AHEAD).fetchone()
    return row is not None and bool(row[0])


def as_line(*statements: str) -> str:
    """SQL to run by hand, in one line and without its comments."""
    lines = (re.sub(r"\s+", " ", re.sub(r"--.*", "", text)).strip() for text in statements)
    return "; ".join(lines)


def _columns(connection: Connection) -> dict[str, str]:
    """The columns of the table and the type of each; none where it is missing."""
    return dict(connection.execute(_FIND_COLUMNS).fetchall())


def _is_old(columns: dict[str, str]) -> bool:
    return _OLD_COLUMNS.items() <= columns.items()


def _make(connection: Connection, database: Database) -> dict[str, str]:
    """Create the table or bring it over, unless another consumer does. Returns its columns."""
    connection.execute(_NO_TIMEOUTS)
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_ADVISORY_LOCK,))
    found = _columns(connection)
    try:
        if not found:
            for statement in CREATE:
                connection.execute(statement)
        elif _is_old(found):
            _upgrade(connection)
    except psycopg.errors.InsufficientPrivilege as error:
        sql = as_line("BEGIN", *(UPGRADE if found else CREATE), "COMMIT")
        if found:
            raise database.unavailable(
                f"{reason_of(error)}, and the table is to be brought over from the layout of "
                f"dlmon 0.1. Start dlmon once with a role that may, or run this SQL: {sql}"
            ) from error
        raise database.unavailable(
            f"{reason_of(error)}, where the table {TABLE} is to be created; have it created once "
            f"by a role that may, and grant INSERT and SELECT on it. Its SQL: {sql}"
        ) from error
    except psycopg.Error as error:
        if not found:
            raise
        raise database.unavailable(
            f"its table {TABLE} is to be brought over from the layout of dlmon 0.1, and stays as "
            f"it was: {reason_of(error)}. Drop what is in the way, start again, and make it anew"
        ) from error
    return _columns(connection)


def _upgrade(connection: Connection) -> None:
    started = time.monotonic()
    for statement in _LOCK_TABLE:
        connection.execute(statement)
    ((events, size),) = connection.execute(_SIZE)
    _log.info(
        "Bringing the PostgreSQL table over from the layout of dlmon 0.1: some %s events, %s. "
        "Consumers wait meanwhile; if it is interrupted, the table stays as it was.",
        f"{events:,}",
        size,
    )
    ((has_other_ids,),) = connection.execute(_HAS_OTHER_IDS)
    statements = list(UPGRADE)
    if not has_other_ids:
        statements[: len(_ADD_OTHER_IDS)] = [_ADD_NO_OTHER_IDS]
    for number, statement in enumerate(statements, 1):
        connection.execute(statement)
        _log.info(
            "Step %d of %d is done after %.0f s.",
            number,
            len(statements),
            time.monotonic() - started,
        )


def _renumber(connection: Connection) -> None:
    try:
        with connection.transaction():
            connection.execute(_NO_TIMEOUTS)
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_ADVISORY_LOCK,))
            changed = connection.execute(RENUMBER).rowcount
    except psycopg.errors.InsufficientPrivilege as error:
        _log.warning(
            "The PostgreSQL table was restored from another server, and `dlmon report` cannot read "
            "it until its owner runs this SQL (%s): %s",
            reason_of(error),
            as_line(RENUMBER),
        )
    else:
        _log.info("Numbered %s events anew that another server had stored.", f"{changed:,}")
