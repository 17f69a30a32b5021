"""Events in a table of PostgreSQL: typed columns for queries, and the exact body beside them.

A batch is one INSERT of arrays. In batches of 500 that is as fast as COPY into a temporary table
and a second statement, and three times as fast as an INSERT for each row (measured). It needs no
right to create temporary tables and no state of the session, so that it works behind poolers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from dlmon.config.urls import StoreAddress
from dlmon.errors import EventsRefused, SettingsError, StoreUnavailable
from dlmon.stores.base import Entry, Store, WriteResult
from dlmon.stores.columns import Row, classify, to_rows, to_utc
from dlmon.stores.retention import STEP, Ages, Bounds, Retention

_Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

TABLE = "dlmon_events"

_COLUMNS = {
    "event_id": "text",
    "timestamp": "timestamp with time zone",
    "latitude": "double precision",
    "longitude": "double precision",
    "file_size": "bigint",
    "download_speed": "double precision",
    "body": "json",
    "stored_at": "timestamp with time zone",
}

_SCHEMA = (
    """
    CREATE TABLE dlmon_events (
        event_id       text COLLATE "C" PRIMARY KEY,  -- in lower case
        timestamp      timestamptz NOT NULL,
        latitude       double precision NOT NULL,     -- degrees, WGS 84
        longitude      double precision NOT NULL,     -- degrees, WGS 84
        file_size      bigint NOT NULL,               -- bytes
        download_speed double precision NOT NULL,     -- megabits per second
        body           json NOT NULL,                 -- as it came: json, not jsonb, keeps the text
        stored_at      timestamptz NOT NULL
    )""",
    "CREATE INDEX dlmon_events_by_time ON dlmon_events (timestamp)",
    "CREATE INDEX dlmon_events_by_age ON dlmon_events (stored_at)",
)
_ADVISORY_LOCK = 0x646C6D65  # held while the table is created, so that only one consumer does

_FIND_COLUMNS = """
    SELECT attname, format_type(atttypid, NULL) FROM pg_attribute
    WHERE attrelid = to_regclass('dlmon_events') AND attnum > 0 AND NOT attisdropped"""

# A commit is durable whatever the role's settings say. The timeouts let a requested stop through:
# a transaction that hits one is tried again. All are local to the transaction, because a pooler
# gives the session to other clients afterwards.
_BEGIN = """
    SELECT set_config('synchronous_commit',
            replace(current_setting('synchronous_commit'), 'off', 'on'), true),
        set_config('lock_timeout', '1s', true), set_config('statement_timeout', '30s', true)"""

_INSERT = """
    INSERT INTO dlmon_events (event_id, timestamp, latitude, longitude, file_size, download_speed,
        body, stored_at)
    SELECT event_id, timestamp, latitude, longitude, file_size, download_speed, body::json,
        greatest(now(), to_timestamp(%b))
    FROM unnest(%b::text[], %b::timestamptz[], %b::float8[], %b::float8[], %b::bigint[],
        %b::float8[], %b::text[]) AS event (event_id, timestamp, latitude, longitude, file_size,
        download_speed, body)
    ON CONFLICT (event_id) DO NOTHING RETURNING event_id"""

_FIND = "SELECT event_id, body::text FROM dlmon_events WHERE event_id = ANY(%s)"

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

# Connection parameters of libpq unless the URL gives others: in seconds, tcp_user_timeout in ms.
_DEFAULTS = {
    "fallback_application_name": "dlmon",
    "target_session_attrs": "read-write",  # of several hosts, the primary
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
}

# The beginnings of SQLSTATEs (PostgreSQL manual, appendix A) that pass by themselves: connection,
# rollback, resources, locks, operator, system and internal errors. With any other, the server may
# refuse a row: by a constraint, a policy, or a trigger, which can raise any SQLSTATE.
_PASSING = ("08", "40", "53", "55P03", "57", "58", "XX")


class PostgresqlStore(Store):
    """Stores an event once, however often it is written.

    An id that the store has is a duplicate when the body is the same, byte for byte, and a conflict
    otherwise. After a failure it connects again. When the connection breaks during the commit, the
    outcome is unknown: what was committed counts as a duplicate when it is written again.
    """

    exactly_once = True

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
        self._address = address
        self._retention = Retention(keep, confirmed=confirm_keep, started=started)
        self._connection: _Connection | None = None
        try:
            given = conninfo_to_dict(address.url)
        except psycopg.Error:
            given = {}
        if not given:
            # Not chained, because libpq's message quotes the URL with its password.
            raise SettingsError(
                f"libpq cannot read the URL of the store {address}: write "
                "postgresql://USER:PASSWORD@HOST:PORT/DATABASE?PARAMETER=VALUE"
            )
        self._parameters = {**_DEFAULTS, **given, "client_encoding": "UTF8"}
        self.probe()
        if self._retention.wanted:
            with self._transaction() as connection:
                now, bounds = self._bounds(connection)
                (ages,) = connection.execute(_REVIEW, bounds._asdict())
                self._retention.review(now, Ages(*ages))

    def probe(self) -> None:
        with self._transaction() as connection:
            connection.execute(_INSERT, [None, *([] for _ in Row._fields)])
            if self._retention.wanted:
                connection.execute(_DELETE, (0.0, 0.0, 0))

    def write(self, entries: Sequence[Entry]) -> WriteResult:
        fitting, rows, refused = to_rows(entries, to_utc)
        if not rows:
            return WriteResult(refused=refused)
        with self._transaction(refusable=True) as connection:
            date = self._retention.expected()
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
        with self._transaction() as connection:
            _, bounds = self._bounds(connection)
            if self._retention.redates:
                redated = connection.execute(_REDATE, (bounds.future, STEP)).rowcount
                self._retention.note_redated(redated)
            deleted = connection.execute(_DELETE, (bounds.floor, bounds.cut, STEP)).rowcount
        return self._retention.note_deleted(deleted, bounds.cut)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def _transaction(self, *, refusable: bool = False) -> Iterator[_Connection]:
        """Commit durably at the end of the block, or roll back at an exception.

        Raises: EventsRefused, where it is `refusable`, for an error that may be about the rows.
        StoreUnavailable for every other error.
        """
        try:
            connection = self._connection or self._open()
            with connection.transaction():
                connection.execute(_BEGIN)
                yield connection
        except psycopg.Error as error:
            if refusable and _is_about_rows(error):
                raise EventsRefused(f"the store refuses it: {_reason(error)}") from error
            self.close()
            raise self._unavailable(_reason(error)) from error

    def _bounds(self, connection: _Connection) -> tuple[float, Bounds]:
        """The time of the server, and which events are deleted at that time."""
        ((now,),) = connection.execute(_NOW)
        return now, self._retention.bounds(now)

    def _open(self) -> _Connection:
        parameters = dict(self._parameters)
        if self._address.password is not None:
            try:
                parameters["password"] = self._address.password.read()
            except SettingsError as error:  # it may be rotated right now
                raise StoreUnavailable(str(error)) from error
        connection = psycopg.connect(
            make_conninfo("", **parameters),
            autocommit=True,
            prepare_threshold=None,  # some poolers mix up the prepared statements of their clients
        )
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _prepare(self, connection: _Connection) -> None:
        connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
        if connection.info.parameter_status("server_encoding") != "UTF8":
            raise self._unavailable("its encoding is not UTF8, as JSON needs: create another one")
        with connection.transaction():
            found = _columns(connection)
            if not found:
                connection.execute("SELECT pg_advisory_xact_lock(%s)", (_ADVISORY_LOCK,))
                found = _columns(connection)
            if not found:
                self._create(connection)
                found = _COLUMNS
        missing = [f"{name} {kind}" for name, kind in _COLUMNS.items() if found.get(name) != kind]
        if missing:
            raise self._unavailable(
                f"its table {TABLE} is not the one of dlmon: it lacks {', '.join(missing)}"
            )

    def _create(self, connection: _Connection) -> None:
        try:
            for statement in _SCHEMA:
                connection.execute(statement)
        except psycopg.errors.InsufficientPrivilege as error:
            raise self._unavailable(
                f"{_reason(error)}, where the table {TABLE} is to be created; have it created once "
                "by a role that may, and grant INSERT and SELECT on it"
            ) from error

    def _unavailable(self, reason: str) -> StoreUnavailable:
        return StoreUnavailable(f"The store {self._address} cannot be used: {reason}.")


def _columns(connection: _Connection) -> dict[str, str]:
    """The columns of the table and the type of each; none where it is missing."""
    return dict(connection.execute(_FIND_COLUMNS).fetchall())


def _portions(rows: Sequence[Row[datetime]]) -> Iterator[Sequence[Row[datetime]]]:
    """The rows in groups of at most `_STATEMENT_SIZE`, one statement each."""
    start = size = 0
    for number, row in enumerate(rows):
        size += len(row.body)
        if size > _STATEMENT_SIZE and number > start:
            yield rows[start:number]
            start, size = number, len(row.body)
    yield rows[start:]


def _insert(connection: _Connection, rows: Sequence[Row[datetime]], date: float | None) -> set[str]:
    """Insert the rows whose ids are not taken, and return these ids.

    date: seconds since the epoch; a row is not dated earlier.
    """
    new: set[str] = set()
    for portion in _portions(rows):
        columns = [list(column) for column in zip(*portion, strict=True)]
        new.update(event_id for (event_id,) in connection.execute(_INSERT, [date, *columns]))
    return new


def _bodies(
    connection: _Connection, rows: Sequence[Row[datetime]], new: set[str]
) -> dict[str, str]:
    """The bodies that the store has, by id. new: the ids that were inserted."""
    known = list({row.event_id for row in rows} - new)
    bodies = {row.event_id: row.body for row in reversed(rows) if row.event_id in new}
    bodies |= connection.execute(_FIND, (known,)).fetchall()
    return bodies


def _is_about_rows(error: psycopg.Error) -> bool:
    """Whether the server may have refused a row. psycopg itself raises DataError for some."""
    if error.sqlstate is None:
        return isinstance(error, psycopg.DataError)
    # PL/pgSQL's RAISE can have any SQLSTATE, also one that would pass elsewhere.
    raised = error.diag.source_function == "exec_stmt_raise"
    return raised or not error.sqlstate.startswith(_PASSING)


def _reason(error: psycopg.Error) -> str:
    """The server's message in one line, without the details, which quote data."""
    text = error.diag.message_primary or str(error)
    return text.partition("\n")[0].removeprefix("connection failed: ").rstrip(".")
