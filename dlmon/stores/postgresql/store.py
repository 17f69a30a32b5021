"""Writing events to PostgreSQL.

A batch is copied, or else it is one INSERT of arrays. In batches of 500 that is as fast as COPY
into a temporary table and a second statement, and three times as fast as an INSERT for each row
(measured). Neither needs the right to create temporary tables, nor state of the session, so that
both work behind poolers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final, LiteralString, NamedTuple

import psycopg

from dlmon.config.urls import StoreAddress
from dlmon.stores.base import Entry, Store, WriteResult
from dlmon.stores.columns import Row, classify
from dlmon.stores.postgresql.copying import Conversion, Copying
from dlmon.stores.postgresql.database import Connection, Database
from dlmon.stores.postgresql.layout import is_uuid, prepare
from dlmon.stores.retention import Ages, Bounds, Retention

# A commit is durable whatever the role's settings say. The timeouts let a requested stop through:
# a transaction that hits one is tried again. All are local to the transaction, because a pooler
# gives the session to other clients afterwards.
_BEGIN = """
    SELECT set_config('synchronous_commit',
            replace(current_setting('synchronous_commit'), 'off', 'on'), true),
        set_config('lock_timeout', '1s', true), set_config('statement_timeout', '30s', true)"""

_INSERT: Final = """
    INSERT INTO dlmon_events ({column}, timestamp, latitude, longitude, file_size, download_speed,
        body, stored_at)
    SELECT event_id::{type}, timestamp, latitude, longitude, file_size, download_speed, body::json,
        greatest(now(), to_timestamp(%b))
    FROM unnest(%b::text[], %b::timestamptz[], %b::float8[], %b::float8[], %b::bigint[],
        %b::float8[], %b::text[]) AS event (event_id, timestamp, latitude, longitude, file_size,
        download_speed, body)
    ON CONFLICT {target} DO NOTHING RETURNING {column}::text"""

_FIND: Final = """
    SELECT {column}::text, body::text FROM dlmon_events WHERE {column} = ANY(%s::{type}[])"""


class _Ids(NamedTuple):
    """The statements for rows whose ids are in one column."""

    insert: LiteralString
    find: LiteralString


_UUIDS = _Ids(
    _INSERT.format(column="event_id", type="uuid", target="(event_id)"),
    _FIND.format(column="event_id", type="uuid"),
)
_OTHERS = _Ids(
    _INSERT.format(column="other_id", type="text", target="(other_id) WHERE other_id IS NOT NULL"),
    _FIND.format(column="other_id", type="text"),
)
_NOW = "SELECT extract(epoch FROM now())::float8"

_DELETE = """
    DELETE FROM dlmon_events WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM dlmon_events
        WHERE stored_at >= to_timestamp(%s) AND stored_at < to_timestamp(%s)
        ORDER BY stored_at LIMIT %s FOR UPDATE SKIP LOCKED))"""

_REDATE = """
    UPDATE dlmon_events SET stored_at = now() WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM dlmon_events WHERE stored_at > to_timestamp(%s)
        LIMIT %s FOR UPDATE SKIP LOCKED))"""

_REVIEW = """
    WITH bounds AS (SELECT to_timestamp(%(floor)s) AS floor, to_timestamp(%(cut)s) AS cut,
        to_timestamp(%(since)s) AS since, to_timestamp(%(future)s) AS future)
    SELECT EXISTS (SELECT FROM dlmon_events WHERE stored_at >= floor AND stored_at < cut),
        EXISTS (SELECT FROM dlmon_events WHERE stored_at >= cut AND stored_at < since),
        EXISTS (SELECT FROM dlmon_events WHERE stored_at < floor),
        EXISTS (SELECT FROM dlmon_events WHERE stored_at > future),
        (SELECT max(stored_at)::text FROM dlmon_events)
    FROM bounds"""

_STATEMENT_SIZE = 8 * 1024 * 1024
"""Characters of bodies in one statement. PostgreSQL takes up to 1 GB, and needs several times as
much memory for it."""


class PostgresqlStore(Store):
    """Stores an event once, however often it is written.

    An id that the store has is a duplicate when the body is the same, byte for byte, and a conflict
    otherwise. After a failure it connects again. When the connection breaks during the commit, the
    outcome is unknown: what was committed counts as a duplicate when it is written again.
    """

    exactly_once = True
    has_columns = True

    def __init__(
        self,
        address: StoreAddress,
        keep: timedelta | None = None,
        *,
        confirm_keep: bool = False,
        started: float | None = None,
    ) -> None:
        """Connect, and create the table where it is missing.

        keep, confirm_keep, started: see `dlmon.stores.retention.Retention`.

        Raises: SettingsError when the URL is none, StoreUnavailable.
        """
        self._retention = Retention(keep, confirmed=confirm_keep, started=started)
        self._copying = Copying()
        # Of several hosts, the primary.
        self._database = Database(address, self._prepare, servers="read-write")
        self.probe()
        if self._retention.wanted:
            with self._transaction() as connection:
                now, bounds = self._bounds(connection)
                (ages,) = connection.execute(_REVIEW, bounds._asdict())
                self._retention.review(now, Ages(*ages))

    def probe(self) -> None:
        with self._transaction() as connection:
            for ids in (_UUIDS, _OTHERS):
                connection.execute(ids.insert, [None, *([] for _ in Row._fields)])
            if self._retention.wanted:
                connection.execute(_DELETE, (0.0, 0.0, 0))

    def write(self, entries: Sequence[Entry]) -> WriteResult:
        batch = Conversion(entries)
        copies = self._copying.is_due(entries)
        if not copies:
            batch.finish()
            if not batch.rows:
                return WriteResult(refused=batch.refused)
        with self._transaction(refusable=True) as connection:
            date = self._retention.expected()
            if copies and self._copying.copy(connection, batch, date):
                return WriteResult(stored=batch.fitting, refused=batch.refused)
            batch.finish()
            fitting, rows, refused = batch.fitting, batch.rows, batch.refused
            new = _insert(connection, rows, date)
            if len(new) == len(rows):
                return WriteResult(stored=fitting, refused=refused)
            bodies = _bodies(connection, rows, new)
            if missing := [row for row in rows if row.event_id not in bodies]:
                # Another consumer deleted what these had conflicted with: they go in now. Or a
                # trigger drops them: then it does so again.
                again = _insert(connection, missing, date)
                bodies |= _bodies(connection, missing, again)
                new |= again
            return classify(fitting, rows, refused, new, bodies)

    def trim(self) -> int:
        if not self._retention.is_due():
            return 0
        step = self._retention.step
        with self._transaction() as connection:
            _, bounds = self._bounds(connection)
            if self._retention.redates:
                redated = connection.execute(_REDATE, (bounds.future, step)).rowcount
                self._retention.note_redated(redated)
            deleted = connection.execute(_DELETE, (bounds.floor, bounds.cut, step)).rowcount
        return self._retention.note_deleted(deleted, bounds.cut)

    def close(self) -> None:
        self._database.close()

    @contextmanager
    def _transaction(self, *, refusable: bool = False) -> Iterator[Connection]:
        """Commit durably at the end of the block, or roll back at an exception.

        Raises: EventsRefused, where it is `refusable`, for an error that may be about the rows.
        StoreUnavailable for every other error.
        """
        with self._database.transaction(refusable=refusable) as connection:
            connection.execute(_BEGIN)
            yield connection

    def _bounds(self, connection: Connection) -> tuple[float, Bounds]:
        """The time of the server, and which events are deleted at that time."""
        ((now,),) = connection.execute(_NOW)
        return now, self._retention.bounds(now)

    def _prepare(self, connection: Connection) -> None:
        connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
        prepare(connection, self._database)


def _portions(rows: Sequence[Row[datetime]]) -> Iterator[Sequence[Row[datetime]]]:
    """The rows in groups of at most `_STATEMENT_SIZE`, one statement each."""
    start = size = 0
    for number, row in enumerate(rows):
        size += len(row.body)
        if size > _STATEMENT_SIZE and number > start:
            yield rows[start:number]
            start, size = number, len(row.body)
    yield rows[start:]


def _insert(connection: Connection, rows: Sequence[Row[datetime]], date: float | None) -> set[str]:
    """Insert the rows whose ids are not taken, and return these ids.

    date: seconds since the epoch; a row is not dated earlier.
    """
    new: set[str] = set()
    for portion in _portions(rows):
        # Nearly always, all are of one kind.
        for ids, group in _by_kind(portion):
            columns = [list(column) for column in zip(*group, strict=True)]
            new.update(found for (found,) in connection.execute(ids.insert, [date, *columns]))
    return new


def _by_kind(
    rows: Sequence[Row[datetime]],
) -> Iterator[tuple[_Ids, Sequence[Row[datetime]]]]:
    """The rows whose ids are UUIDs, and the others."""
    others = [row for row in rows if not is_uuid(row.event_id)]
    if len(others) < len(rows):
        yield _UUIDS, [row for row in rows if is_uuid(row.event_id)] if others else rows
    if others:
        yield _OTHERS, others


def _bodies(connection: Connection, rows: Sequence[Row[datetime]], new: set[str]) -> dict[str, str]:
    """The bodies that the store has, by id. new: the ids that were inserted."""
    known = {row.event_id for row in rows} - new
    bodies = {row.event_id: row.body for row in reversed(rows) if row.event_id in new}
    others = [event_id for event_id in known if not is_uuid(event_id)]
    bodies |= connection.execute(_UUIDS.find, ([*known.difference(others)],)).fetchall()
    if others:
        bodies |= connection.execute(_OTHERS.find, (others,)).fetchall()
    return bodies
