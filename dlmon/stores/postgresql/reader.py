"""Reading events from PostgreSQL, also while consumers write to it.

Transactions commit in another order than they began, so that events behind one that was read can
appear before it. Therefore events are read in the order of their transaction, and only those whose
transaction is older than all running ones: nothing can come before them any more. A transaction
that writes anything on the server, and stays open, delays what was stored after it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString

import psycopg

from dlmon.config.urls import StoreAddress
from dlmon.stores.postgresql.database import Connection, Database
from dlmon.stores.postgresql.layout import problem_for_reading
from dlmon.stores.reading import Sample, StoredEvent, StoreReader

_IDENTITY = """
    SELECT system_identifier, pg_database.oid, 'dlmon_events'::regclass::oid
    FROM pg_control_system(), pg_database WHERE datname = current_database()"""

# The time is in milliseconds, rounded down: date_part counts in seconds, with fractions.
_AFTER = """
    SELECT (date_part('epoch', date_trunc('milliseconds', timestamp)) * 1000)::bigint,
        latitude, longitude, file_size, download_speed, transaction::text, position
    FROM dlmon_events
    WHERE (transaction, position) > (%s::xid8, %s)
        AND (transaction, position) <= (%s::xid8, %s)
        AND transaction < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY transaction, position LIMIT %s"""

_BETWEEN = """
    SELECT (date_part('epoch', date_trunc('milliseconds', timestamp)) * 1000)::bigint,
        latitude, longitude, file_size, download_speed
    FROM dlmon_events WHERE timestamp >= %s::timestamptz AND timestamp < %s::timestamptz"""

_EVENTS_BETWEEN = """
    SELECT (date_part('epoch', date_trunc('milliseconds', timestamp)) * 1000)::bigint,
        latitude, longitude, file_size, download_speed, coalesce(event_id::text, other_id),
        body::text
    FROM dlmon_events WHERE timestamp >= %s::timestamptz AND timestamp < %s::timestamptz"""

_NEWEST = """
    SELECT transaction::text, position FROM dlmon_events
    WHERE transaction < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY transaction DESC, position DESC OFFSET %s LIMIT 1"""

_DETAILS = """
    SELECT to_char(stored_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        coalesce(event_id::text, other_id)
    FROM dlmon_events WHERE transaction = %s::xid8 AND position = %s"""

# By the primary key, so that they are found at once.
_ENDS = """
    SELECT
        (SELECT position FROM dlmon_events ORDER BY transaction, position LIMIT 1),
        (SELECT position FROM dlmon_events ORDER BY transaction DESC, position DESC LIMIT 1)"""

_HAS_OLDER = "SELECT EXISTS (SELECT FROM dlmon_events WHERE stored_at < %s::timestamptz)"

_CURSOR = re.compile(r"(\d+) (\d+) (\S+) (.*)", re.DOTALL)
"""Transaction, position, when it was stored, and id of the last event that was read."""

_LAST = (str(2**64 - 1), 2**63 - 1)  # transaction, position

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEAR_10000 = 253_402_300_800_000


class PostgresqlReader(StoreReader):
    """Reads the table of a store, and never writes to it. A standby server will do."""

    def __init__(self, address: StoreAddress) -> None:
        """Connect to a database that has the table.

        Raises: SettingsError when the URL is none, StoreUnavailable.
        """
        self._identity = ""
        self._database = Database(address, self._prepare, servers="any")
        with self._transaction():
            pass

    @property
    def identity(self) -> str:
        """The server's number for itself, which replicas share, and those of database and table."""
        return self._identity

    def knows(self, cursor: str) -> bool:
        match = _CURSOR.fullmatch(cursor)
        if match is None:
            return False
        transaction, position, stored_at, event_id = match.groups()
        with self._transaction() as connection:
            found = connection.execute(_DETAILS, (transaction, int(position))).fetchone()
            if found is not None:
                return bool(found[1] == event_id)
            # It was deleted, and with it all that are older; or it has not been stored yet.
            ((has_older,),) = connection.execute(_HAS_OLDER, (stored_at,))
            return not has_older

    def remaining(self, cursor: str | None) -> int:
        match = _CURSOR.fullmatch(cursor or "")
        with self._transaction() as connection:
            ((first, last),) = connection.execute(_ENDS)
        if last is None:
            return 0
        return max(0, int(last - max(int(match[2]) if match else 0, first - 1)))

    def newest(self, count: int) -> str | None:
        with self._transaction() as connection:
            found = connection.execute(_NEWEST, (count,)).fetchone()
            return None if found is None else _cursor(connection, *found)

    def read_after(
        self, cursor: str | None, limit: int, until: str | None = None
    ) -> Iterator[tuple[list[Sample], str]]:
        match = _CURSOR.fullmatch(cursor or "")
        transaction, position = (match[1], int(match[2])) if match else ("0", 0)
        match = _CURSOR.fullmatch(until or "")
        end = (match[1], int(match[2])) if match else _LAST
        while True:
            # A transaction for each batch: a longer one would keep the server from cleaning up.
            with self._transaction() as connection, connection.cursor(binary=True) as rows:
                found = rows.execute(_AFTER, (transaction, position, *end, limit)).fetchall()
                if not found:
                    return
                *_, transaction, position = found[-1]
                cursor = _cursor(connection, transaction, position)
            yield [Sample(*row[:5]) for row in found], cursor

    def read_between(self, start: int, end: int, limit: int) -> Iterator[list[Sample]]:
        for found in self._rows_between(_BETWEEN, start, end, limit):
            yield [Sample(*row) for row in found]

    def read_events(self, start: int, end: int, limit: int) -> Iterator[list[StoredEvent]]:
        for found in self._rows_between(_EVENTS_BETWEEN, start, end, limit):
            yield [
                StoredEvent(Sample(*sample), event_id, body.encode())
                for *sample, event_id, body in found
            ]

    def close(self) -> None:
        self._database.close()

    def _rows_between(
        self, select: LiteralString, start: int, end: int, limit: int
    ) -> Iterator[list[tuple[Any, ...]]]:
        """The rows of a time, by a cursor on the server."""
        with (
            self._transaction() as connection,
            connection.cursor("dlmon_report", binary=True) as rows,
        ):
            rows.execute(select, (_format(start), _format(end)))
            while found := rows.fetchmany(limit):
                yield found

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self._database.transaction() as connection:
            yield connection

    def _prepare(self, connection: Connection) -> None:
        # All statements of a transaction see the same events.
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        if problem := problem_for_reading(connection):
            raise self._database.unavailable(problem)
        (numbers,) = connection.execute(_IDENTITY)
        self._identity = f"postgresql {' '.join(map(str, numbers))}"


def _cursor(connection: Connection, transaction: str, position: int) -> str:
    ((stored_at, event_id),) = connection.execute(_DETAILS, (transaction, position))
    return f"{transaction} {position} {stored_at} {event_id}"


def _format(at: int) -> str:
    """A time for PostgreSQL. at: milliseconds since the epoch, from the year 1 on."""
    if at >= _YEAR_10000:
        return "infinity"
    return (_EPOCH + timedelta(milliseconds=at)).isoformat()
