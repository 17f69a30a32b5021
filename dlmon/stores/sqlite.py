"""Events in one SQLite file: typed columns for queries, and the exact body beside them."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from dlmon.errors import EventsRefused, StoreUnavailable
from dlmon.event import normalize_id
from dlmon.runtime.sqlite_files import READ_HEADER, FileFormat, primary_code
from dlmon.stores.base import Entry, Store, WriteResult
from dlmon.stores.columns import Row, classify, to_rows, to_utc
from dlmon.stores.retention import STEP, Ages, Retention

APPLICATION_ID = 0x646C6D65
"""`PRAGMA application_id` of a store: the letters "dlme"."""

SCHEMA_VERSION = 1
"""`PRAGMA user_version` of a store. A newer dlmon writes a higher one."""

_FORMAT = FileFormat("a store", APPLICATION_ID, SCHEMA_VERSION)

_BUSY_TIMEOUT = 0.5  # seconds: SQLite waits in C, where it does not see that a stop was requested

# Consumers that start at the same time create the file together. While another connection reads it,
# SQLite refuses to change the journal mode at once, whatever the busy timeout is.
_OPEN_TIMEOUT = 4.0  # seconds
_OPEN_AGAIN = 0.05  # seconds

# Ids are random: a batch changes about as many pages of the index as it has events. The longer the
# write-ahead log, the more changes of a page become one write to the file.
_CHECKPOINT_PAGES = 8000
_CACHE_KIB = 16_000

_SCHEMA = (
    """
    CREATE TABLE events (
        event_id       TEXT NOT NULL UNIQUE,  -- in lower case
        timestamp      TEXT NOT NULL,         -- UTC, 2026-03-01T12:00:00.000000Z: sorts by time
        latitude       REAL NOT NULL,         -- degrees, WGS 84
        longitude      REAL NOT NULL,         -- degrees, WGS 84
        file_size      INTEGER NOT NULL,      -- bytes
        download_speed REAL NOT NULL,         -- megabits per second
        body           TEXT NOT NULL,         -- the event as it came, byte for byte
        stored_at      TEXT NOT NULL          -- UTC, as timestamp
    ) STRICT""",
    "CREATE INDEX events_by_time ON events (timestamp)",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)

_ROW = "(?, ?, ?, ?, ?, ?, ?, ?)"
_COLUMNS = _ROW.count("?")
# INSERT OR IGNORE would also ignore a NOT NULL violation. OR FAIL, because the transaction is
# rolled back anyway: for OR ABORT, the default, SQLite keeps a copy of each page that changes.
_INSERT = (
    "INSERT OR FAIL INTO events (event_id, timestamp, latitude, longitude, file_size, "
    "download_speed, body, stored_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (event_id) DO NOTHING"
)

# As one row: sqlite3 releases the GIL for each, and the thread that receives then takes it. SQLite
# gives a new row the highest rowid plus one.
_NEWEST_IDS = """
    SELECT json_group_array(event_id) FROM (
        SELECT event_id FROM events ORDER BY rowid DESC LIMIT ?)"""
_FIND = "SELECT body FROM events WHERE event_id = ?"

# sqlite3 releases the GIL while a statement runs: with few, long statements the thread that
# receives works meanwhile. SQLite takes at most 32,766 parameters, 8 a row.
_ROWS_AT_ONCE = 2_000
_CACHED_STATEMENTS = 16  # each number of rows is a statement of its own, and some are large

_INDEX_BY_AGE = "CREATE INDEX IF NOT EXISTS events_by_age ON events (stored_at)"
_DELETE = """
    DELETE FROM events WHERE rowid IN (
        SELECT rowid FROM events WHERE stored_at >= ? AND stored_at < ?
        ORDER BY stored_at LIMIT ?)"""
_REDATE = """
    UPDATE events SET stored_at = ? WHERE rowid IN (
        SELECT rowid FROM events WHERE stored_at > ? LIMIT ?)"""
_REVIEW = """
    SELECT EXISTS (SELECT 1 FROM events WHERE stored_at >= :floor AND stored_at < :cut),
        EXISTS (SELECT 1 FROM events WHERE stored_at >= :cut AND stored_at < :since),
        EXISTS (SELECT 1 FROM events WHERE stored_at < :floor),
        EXISTS (SELECT 1 FROM events WHERE stored_at > :future),
        (SELECT max(stored_at) FROM events)"""

_REASONS = {
    sqlite3.SQLITE_BUSY: "another process keeps it locked",
    sqlite3.SQLITE_FULL: "the disk is full; free some space",
    sqlite3.SQLITE_READONLY: "it is read-only; make it and its folder writable",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; check that it is a file in a writable folder",
    sqlite3.SQLITE_NOTADB: "it is not a SQLite file; choose another path",
}

# Most times are in UTC and only lack digits of the fraction. Not with hour 24, which Python 3.13
# takes for midnight of the next day.
_is_utc = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?!24)[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{1,6}Z"
).fullmatch


class SqliteStore(Store):
    """Stores an event once, however often it is written. Not for several threads at once.

    An id that the store has is a duplicate when the body is the same, byte for byte, and a conflict
    otherwise. After a failure the file is opened again: it may have been moved or replaced.
    """

    exactly_once = True

    def __init__(
        self,
        path: Path,
        keep: timedelta | None = None,
        *,
        confirm_keep: bool = False,
        started: float | None = None,
    ) -> None:
        """Open the file, and create it with its folder where it is missing.

        keep, confirm_keep, started: see `dlmon.stores.retention.Retention`.

        Raises: StoreUnavailable.
        """
        # Absolute, so that no name has a special meaning to SQLite, as ":memory:" has.
        self._path = path.absolute()
        self._connection: sqlite3.Connection | None = None
        self._identity = (0, 0)
        self._retention = Retention(keep, confirmed=confirm_keep, started=started)
        self._open_with_retries()

    def probe(self) -> None:
        with self._transaction() as connection:
            # A write, so that it also fails when the disk is full.
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            _compile_insertion(connection)

    def write(self, entries: Sequence[Entry]) -> WriteResult:
        fitting, rows, refused = to_rows(entries, _convert_time)
        stored_at = _format_epoch(max(time.time(), self._retention.expected() or 0.0))
        stored: list[Entry] = []
        duplicates: list[Entry] = []
        try:
            with self._transaction() as connection:
                for start in range(0, len(rows), _ROWS_AT_ONCE):
                    some = slice(start, start + _ROWS_AT_ONCE)
                    written = _write(connection, fitting[some], rows[some], stored_at)
                    stored += written.stored
                    duplicates += written.duplicates
                    refused += written.refused
        except StoreUnavailable as error:
            if _is_about_rows(error.__cause__):
                raise EventsRefused(f"the store refuses it: {error.__cause__}") from error
            raise
        return WriteResult(stored, duplicates, refused)

    def trim(self) -> int:
        if not self._retention.is_due():
            return 0
        now = time.time()
        floor, cut, _, future = self._retention.bounds(now)
        with self._transaction() as connection:
            if self._retention.redates:
                values = (_format_epoch(now), _format_epoch(future), STEP)
                self._retention.note_redated(connection.execute(_REDATE, values).rowcount)
            values = (_format_epoch(floor), _format_epoch(cut), STEP)
            deleted = connection.execute(_DELETE, values).rowcount
        return self._retention.note_deleted(deleted, cut)

    def known(self, event_ids: Iterable[str]) -> set[str]:
        """Those of these ids that the store has, spelled as in `event_ids`.

        Raises: StoreUnavailable.
        """
        with self._closing_on_failure():
            connection = self._connection or self._open()
            find = "SELECT 1 FROM events WHERE event_id = ?"
            return {
                event_id
                for event_id in event_ids
                if connection.execute(find, (normalize_id(event_id),)).fetchone()
            }

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Commit durably at the end of the block, or roll back at an exception."""
        with self._closing_on_failure():
            connection = self._connection or self._open()
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            # SQLite would go on writing to a file that has been unlinked or renamed.
            if _identity(self._path) != self._identity:
                raise StoreUnavailable(f"The store {self._path} was moved or deleted.")
            connection.execute("COMMIT")

    def _open_with_retries(self) -> None:
        until = time.monotonic() + _OPEN_TIMEOUT
        while True:
            try:
                with self._closing_on_failure():
                    self._open()
            except StoreUnavailable as error:
                if not _is_busy(error.__cause__) or time.monotonic() >= until:
                    raise
                time.sleep(_OPEN_AGAIN)
            else:
                return

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(
            self._path,
            timeout=_BUSY_TIMEOUT,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=_CACHED_STATEMENTS,
        )
        self._connection = connection
        self._check_is_ours(connection)  # before anything is changed
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        connection.execute("PRAGMA synchronous = FULL")
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise StoreUnavailable(
                f"The file system of {self._path} cannot do SQLite's write-ahead log: "
                "choose a path on a local disk."
            )
        connection.execute("BEGIN IMMEDIATE")
        # Again under the lock: another process may have created the tables meanwhile.
        if self._check_is_ours(connection) == 0:
            for statement in _SCHEMA:
                connection.execute(statement)
        if self._retention.wanted:
            connection.execute(_INDEX_BY_AGE)  # costs time at each insert: only where it is used
        connection.execute("COMMIT")
        _compile_insertion(connection)
        identity = _identity(self._path)
        if self._retention.wanted and identity != self._identity:
            self._review(connection)
        self._identity = identity
        return connection

    def _review(self, connection: sqlite3.Connection) -> None:
        now = time.time()
        bounds = self._retention.bounds(now)._asdict()
        texts = {name: _format_epoch(at) for name, at in bounds.items()}
        self._retention.review(now, Ages(*connection.execute(_REVIEW, texts).fetchone()))

    def _check_is_ours(self, connection: sqlite3.Connection) -> int:
        """The schema version of the file, 0 for an empty one.

        Raises: StoreUnavailable for a file of another program, or of a newer dlmon.
        """
        header = connection.execute(READ_HEADER).fetchone()
        if problem := _FORMAT.problem_with(self._path, header):
            raise StoreUnavailable(problem)
        return int(header[1])

    @contextmanager
    def _closing_on_failure(self) -> Iterator[None]:
        with _translating_errors(self._path):
            try:
                yield
            except BaseException:
                self.close()
                raise


def _compile_insertion(connection: sqlite3.Connection) -> None:
    """Raises: sqlite3.Error for a table that cannot take events, with triggers that name a missing
    one, too."""
    connection.execute(f"EXPLAIN {_INSERT}", (None,) * _COLUMNS)


def _write(
    connection: sqlite3.Connection,
    entries: Sequence[Entry],
    rows: Sequence[Row[str]],
    stored_at: str,
) -> WriteResult:
    """Insert the rows whose ids are not taken, in the store or by an earlier row."""
    values: list[str | float] = []
    for row in rows:
        values += row
        values.append(stored_at)
    inserted = connection.execute(_insertion(len(rows)), values).rowcount
    if inserted == len(rows):
        return WriteResult(entries)
    (ids,) = connection.execute(_NEWEST_IDS, (inserted,)).fetchone()
    new = frozenset(json.loads(ids))
    bodies: dict[str, str] = {}
    for row in rows:
        if row.event_id in bodies:
            continue
        if row.event_id in new:
            bodies[row.event_id] = row.body  # of several in a batch, the first one was inserted
        elif found := connection.execute(_FIND, (row.event_id,)).fetchone():
            (bodies[row.event_id],) = found
        # Otherwise a trigger dropped it, with RAISE(IGNORE).
    return classify(entries, rows, (), new, bodies)


@lru_cache(_CACHED_STATEMENTS)
def _insertion(rows: int) -> str:
    return _INSERT.replace(_ROW, ", ".join([_ROW] * rows))


def _convert_time(given: Any) -> str:
    """The time of an event as it is stored. Raises: ValueError."""
    moment = to_utc(given)
    # Padding takes a fifth of the time of formatting.
    return given[:-1].ljust(26, "0") + "Z" if _is_utc(given) else _format_time(moment)


def _format_time(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds")[:26] + "Z"


def _format_epoch(at: float) -> str:
    return _format_time(datetime.fromtimestamp(at, UTC))


@contextmanager
def _translating_errors(path: Path) -> Iterator[None]:
    """Raises: StoreUnavailable for what sqlite3 and the file system raise."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        reason = _REASONS.get(primary_code(error), str(error))
        raise StoreUnavailable(f"The store {path} cannot be used: {reason}.") from error
    except OSError as error:
        raise StoreUnavailable(f"The store {path} cannot be used: {error.strerror}.") from error


def _is_about_rows(error: BaseException | None) -> bool:
    """Whether a constraint or a trigger that an operator has added may refuse the rows.

    A trigger fails with SQLITE_ERROR when one of its expressions does, as with malformed JSON.
    """
    return isinstance(error, sqlite3.IntegrityError | sqlite3.DataError) or (
        isinstance(error, sqlite3.DatabaseError) and primary_code(error) == sqlite3.SQLITE_ERROR
    )


def _is_busy(error: BaseException | None) -> bool:
    return isinstance(error, sqlite3.Error) and primary_code(error) == sqlite3.SQLITE_BUSY


def _identity(path: Path) -> tuple[int, int]:
    """Device and inode of a file."""
    status = path.stat()
    return status.st_dev, status.st_ino
