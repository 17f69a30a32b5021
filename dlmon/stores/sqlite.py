"""Events in one SQLite file: typed columns for queries, and the exact body beside them."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import lru_cache
from pathlib import Path

from dlmon.errors import EventsRefused, Interrupted, StoreUnavailable
from dlmon.event import normalize_id
from dlmon.runtime.sqlite_files import READ_HEADER, is_special_file, primary_code
from dlmon.runtime.stop import Stop
from dlmon.stores import sqlite_ids as ids
from dlmon.stores import sqlite_layout as layout
from dlmon.stores import sqlite_upgrade
from dlmon.stores.base import Entry, Store, WriteResult
from dlmon.stores.columns import Row, classify, to_rows
from dlmon.stores.retention import Ages, Retention
from dlmon.stores.sqlite_layout import (
    Key,
    begins_with_time,
    epoch_to_micros,
    micros_to_text,
    to_key,
    to_keys,
    to_micros,
)

_BUSY_TIMEOUT = 0.5  # seconds: SQLite waits in C, where it does not see that a stop was requested

# Consumers that start at the same time create the file together. While another connection reads it,
# SQLite refuses to change the journal mode at once, whatever the busy timeout is.
_OPEN_TIMEOUT = 4.0  # seconds
_OPEN_AGAIN = 0.05  # seconds
_UPGRADE_TIMEOUT = 600.0  # seconds, while another consumer brings the store up to date

# The longer the write-ahead log, the more changes of a page become one write to the file.
_CHECKPOINT_PAGES = 8000
_TRIMMING_PAGES = 500  # while events are deleted: a step waits less for shorter ones
_CACHE_KIB = 32_000  # the small tables of ids fit

_ROW = "(?, ?, ?, ?, ?, ?, ?, ?)"
_COLUMNS = _ROW.count("?")
# OR FAIL, because the transaction is rolled back anyway: for OR ABORT, the default, SQLite keeps a
# copy of each page that changes.
_INSERT = (
    "INSERT OR FAIL INTO stored_events (event_id, timestamp, latitude, longitude, file_size, "
    "download_speed, body, stored_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_INSERTED = "SELECT event_id FROM stored_events WHERE row > ?"
_BODY = "SELECT body FROM stored_events WHERE row = ?"

# sqlite3 releases the GIL while a statement runs: with few, long statements the thread that
# receives works meanwhile. SQLite takes at most 32,766 parameters, 8 a row.
_ROWS_AT_ONCE = 2_000
_CACHED_STATEMENTS = 32  # each number of rows is a statement of its own, and some are large

_NEWEST_KEYS = "SELECT event_id FROM stored_events ORDER BY row DESC LIMIT ?"
_LOOK_AT = 500  # ids

_INDEX_BY_AGE = "CREATE INDEX IF NOT EXISTS events_by_age ON stored_events (stored_at)"
_OLD = """
    SELECT row, event_id FROM stored_events WHERE stored_at >= ? AND stored_at < ?
    ORDER BY stored_at LIMIT ?"""
_DELETE = "DELETE FROM stored_events WHERE row = ?"
_REDATE = """
    UPDATE stored_events SET stored_at = ? WHERE row IN (
        SELECT row FROM stored_events WHERE stored_at > ? LIMIT ?)"""
_REVIEW = """
    SELECT EXISTS (SELECT 1 FROM stored_events WHERE stored_at >= :floor AND stored_at < :cut),
        EXISTS (SELECT 1 FROM stored_events WHERE stored_at >= :cut AND stored_at < :since),
        EXISTS (SELECT 1 FROM stored_events WHERE stored_at < :floor),
        EXISTS (SELECT 1 FROM stored_events WHERE stored_at > :future),
        (SELECT max(stored_at) FROM stored_events)"""

_REASONS = {
    sqlite3.SQLITE_BUSY: "another process keeps it locked",
    sqlite3.SQLITE_FULL: "the disk is full; free some space",
    sqlite3.SQLITE_READONLY: "it is read-only; make it and its folder writable",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; check that it is a file in a writable folder",
    sqlite3.SQLITE_NOTADB: "it is not a SQLite file; choose another path",
}


class SqliteStore(Store):
    """Stores an event once, however often it is written. Not for several threads at once.

    An id that the store has is a duplicate when the body is the same, byte for byte, and a conflict
    otherwise. After a failure the file is opened again: it may have been moved or replaced.
    """

    exactly_once = True
    has_columns = True

    def __init__(
        self,
        path: Path,
        keep: timedelta | None = None,
        *,
        confirm_keep: bool = False,
        started: float | None = None,
        stop: Stop | None = None,
    ) -> None:
        """Open the file, create it with its folder where it is missing, and bring it up to date.

        keep, confirm_keep, started: see `dlmon.stores.retention.Retention`. stop: ends the wait
        for a file that is brought up to date, and leaves it as it was.

        Raises: StoreUnavailable, Interrupted.
        """
        # Absolute, so that no name has a special meaning to SQLite, as ":memory:" has.
        self._path = path.absolute()
        self._connection: sqlite3.Connection | None = None
        self._identity = (0, 0)
        self._is_old = False
        self._retention = Retention(keep, confirmed=confirm_keep, started=started)
        self._open_with_retries(stop or Stop())

    def probe(self) -> None:
        with self._transaction() as connection:
            # A write, so that it also fails when the disk is full.
            connection.execute(f"PRAGMA user_version = {layout.SCHEMA_VERSION}")
            _compile_insertion(connection)

    def write(self, entries: Sequence[Entry]) -> WriteResult:
        fitting, rows, refused = to_rows(entries, to_micros)
        stored_at = epoch_to_micros(max(time.time(), self._retention.expected() or 0.0))
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
        now, step = time.time(), self._retention.step
        floor, cut, _, future = self._retention.bounds(now)
        with self._transaction() as connection:
            _checkpoint_after(connection, _TRIMMING_PAGES)
            if self._retention.redates:
                values = (epoch_to_micros(now), epoch_to_micros(future), step)
                self._retention.note_redated(connection.execute(_REDATE, values).rowcount)
            values = (epoch_to_micros(floor), epoch_to_micros(cut), step)
            old = connection.execute(_OLD, values).fetchall()
            ids.forget(connection, [key for _, key in old])
            deleted = connection.executemany(_DELETE, [(row,) for row, _ in old]).rowcount
            if deleted < step:
                _checkpoint_after(connection, _CHECKPOINT_PAGES)
        return self._retention.note_deleted(deleted, cut)

    def advice(self) -> str | None:
        with self._closing_on_failure():
            connection = self._connection or self._open()
            newest = connection.execute(_NEWEST_KEYS, (_LOOK_AT,)).fetchall()
        random = sum(not begins_with_time(key) for (key,) in newest)
        if len(newest) < _LOOK_AT or random < len(newest) / 2:
            return None
        return (
            f"{random / len(newest):.0%} of the newest ids are random (such as UUIDv4): a large "
            "store takes about twice as long for them as for ids that begin with the time (UUIDv7)"
        )

    def known(self, event_ids: Iterable[str]) -> set[str]:
        """Those of these ids that the store has, spelled as in `event_ids`.

        Raises: StoreUnavailable.
        """
        with self._closing_on_failure():
            connection = self._connection or self._open()
            keys = {event_id: to_key(normalize_id(event_id)) for event_id in event_ids}
            found = ids.find(connection, set(keys.values()))
            return {event_id for event_id, key in keys.items() if key in found}

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

    def _open_with_retries(self, stop: Stop) -> None:
        started = time.monotonic()
        while True:
            try:
                with self._closing_on_failure():
                    self._open(stop)
            except StoreUnavailable as error:
                timeout = _UPGRADE_TIMEOUT if self._is_old else _OPEN_TIMEOUT
                if not _is_busy(error.__cause__) or time.monotonic() - started >= timeout:
                    raise
                if stop.wait(_OPEN_AGAIN):
                    raise Interrupted(
                        f"Stopped while the store {self._path} was locked."
                    ) from error
            else:
                return

    def _open(self, stop: Stop | None = None) -> sqlite3.Connection:
        if is_special_file(self._path):
            raise StoreUnavailable(f"{self._path} is not a regular file: choose another path.")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(
            self._path,
            timeout=_BUSY_TIMEOUT,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=_CACHED_STATEMENTS,
        )
        self._connection = connection
        version = self._check_is_ours(connection)  # before anything is changed
        self._is_old = version == sqlite_upgrade.VERSION
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        _checkpoint_after(connection, _CHECKPOINT_PAGES)
        connection.execute("PRAGMA synchronous = FULL")
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise StoreUnavailable(
                f"The file system of {self._path} cannot do SQLite's write-ahead log: "
                "choose a path on a local disk."
            )
        connection.execute("BEGIN IMMEDIATE")
        # Again under the lock: another process may have created the tables meanwhile.
        version = self._check_is_ours(connection)
        if version == 0:
            layout.create_tables(connection)
            layout.finish(connection)
        elif version == sqlite_upgrade.VERSION:
            sqlite_upgrade.upgrade(connection, self._path, stop or Stop())
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
        values = {name: epoch_to_micros(at) for name, at in bounds.items()}
        ages = Ages(*connection.execute(_REVIEW, values).fetchone())
        if ages.newest is not None:
            ages = ages._replace(newest=micros_to_text(int(ages.newest)))
        self._retention.review(now, ages)

    def _check_is_ours(self, connection: sqlite3.Connection) -> int:
        """The schema version of the file, 0 for an empty one.

        Raises: StoreUnavailable for a file of another program, or of a newer dlmon.
        """
        header = connection.execute(READ_HEADER).fetchone()
        if problem := layout.FORMAT.problem_with(self._path, header):
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


def _checkpoint_after(connection: sqlite3.Connection, pages: int) -> None:
    """Have the commit that brings so many pages into the log copy them into the file."""
    connection.execute(f"PRAGMA wal_autocheckpoint = {pages}")


def _compile_insertion(connection: sqlite3.Connection) -> None:
    """Raises: sqlite3.Error for a table that cannot take events, with triggers that name a missing
    one, too."""
    connection.execute(f"EXPLAIN {_INSERT}", (None,) * _COLUMNS)


def _write(
    connection: sqlite3.Connection,
    entries: Sequence[Entry],
    rows: Sequence[Row[int]],
    stored_at: int,
) -> WriteResult:
    """Insert the rows whose ids are not taken, in the store or by an earlier row."""
    keys = to_keys([row.event_id for row in rows])
    first = dict(zip(keys, rows, strict=True))
    if len(first) < len(rows):
        first = {}
        for key, row in zip(keys, rows, strict=True):
            first.setdefault(key, row)
    taken = _find_bodies(connection, first)
    values: list[Key | float] = []
    for key, row in first.items():
        if key not in taken:
            values += (key, *row[1:], stored_at)
    new = len(first) - len(taken)
    (last,) = connection.execute(layout.LAST_ROW).fetchone()
    inserted = connection.execute(_insertion(new), values).rowcount if new else 0
    if inserted:
        ids.add(connection, last)
    if inserted == len(rows):
        return WriteResult(entries)
    stored = {key for (key,) in connection.execute(_INSERTED, (last,))}
    # What is in neither was dropped by a trigger, with RAISE(IGNORE).
    bodies = {first[key].event_id: body for key, body in taken.items()}
    bodies |= {first[key].event_id: first[key].body for key in stored}
    return classify(entries, rows, (), {first[key].event_id for key in stored}, bodies)


def _find_bodies(connection: sqlite3.Connection, keys: Collection[Key]) -> dict[Key, str]:
    """What is stored with those of these ids that the store has.

    Ids of rows that were deleted from the table by hand are forgotten.
    """
    bodies: dict[Key, str] = {}
    gone: list[Key] = []
    for key, row in ids.find(connection, keys).items():
        if found := connection.execute(_BODY, (row,)).fetchone():
            (bodies[key],) = found
        else:
            gone.append(key)
    if gone:
        ids.forget(connection, gone)
    return bodies


@lru_cache(_CACHED_STATEMENTS)
def _insertion(rows: int) -> str:
    return _INSERT.replace(_ROW, ", ".join([_ROW] * rows))


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
