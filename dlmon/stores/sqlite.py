"""Events in one SQLite file: typed columns for queries, and the exact body beside them."""

from __future__ import annotations

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
from dlmon.stores.base import Entry, Store, WriteResult
from dlmon.stores.columns import CONFLICT, Row, to_rows, to_utc
from dlmon.stores.retention import STEP, Retention
from dlmon.validation.violations import Violation

APPLICATION_ID = 0x646C6D65
"""What `PRAGMA application_id` says in a store: "dlme"."""

SCHEMA_VERSION = 1
"""What `PRAGMA user_version` says: a file with a higher one is of a newer dlmon."""

_BUSY_TIMEOUT = 0.5  # seconds; a lock that lasts longer must not keep a stop from being heeded

# Consumers that start at the same time make the file together, and SQLite refuses at once, with no
# regard to its timeout, to change the journal of a file that another connection is reading.
_OPEN_TIMEOUT = 4.0  # seconds
_OPEN_AGAIN = 0.05  # seconds

# Ids are random, so that a batch touches as many index pages as it has events. Pages that wait in
# the write-ahead log until they were changed several times are written to the file only once.
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
# Not INSERT OR IGNORE, which also swallows what breaks a constraint. OR FAIL leaves to the
# transaction what is to be undone then: for a statement that undoes it by itself, SQLite copies
# each page that it changes.
_INSERT = (
    "INSERT OR FAIL INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (event_id) DO NOTHING"
)

# A row that is inserted is the last one by its rowid. As one text, since other threads have their
# turn before each row that is read; no id contains a NUL.
_NEWEST = """
    SELECT group_concat(event_id, char(0))
    FROM (SELECT event_id FROM events ORDER BY rowid DESC LIMIT ?)"""

# Other threads have their turn while a statement runs: the receiving one gets most of its work
# done meanwhile. SQLite takes no more than 32,766 parameters.
_ROWS_AT_ONCE = 2_000
_STATEMENTS = 16  # that are kept: each number of rows is a statement of its own, and some are large

_INDEX_BY_AGE = "CREATE INDEX IF NOT EXISTS events_by_age ON events (stored_at)"
_DELETE = """
    DELETE FROM events WHERE rowid IN (
        SELECT rowid FROM events WHERE stored_at < ? ORDER BY stored_at LIMIT ?)"""

_REASONS = {
    sqlite3.SQLITE_BUSY: "another process keeps it locked",
    sqlite3.SQLITE_FULL: "the disk is full; free some space",
    sqlite3.SQLITE_READONLY: "it is read-only; make it and its folder writable",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; check that it is a file in a writable folder",
    sqlite3.SQLITE_NOTADB: "it is not a SQLite file; choose another path",
}

# Most times are in UTC already, and written as they are in the file but for the number of digits.
# Hour 24 is the next day, to Python 3.13.
_UTC = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?!24)[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{1,6}Z"
).fullmatch


class SqliteStore(Store):
    """Keeps identity: an event is stored once, however often it is written.

    The stored body tells a duplicate (the same bytes) from an id that is taken by another event.
    Ids are compared without regard to case, as RFC 9562 has it for UUIDs. For one thread at a time.

    After a failure the file is opened afresh: what was wrong may have been the file itself.
    """

    exactly_once = True

    def __init__(self, path: Path, keep: timedelta | None = None) -> None:
        """Open the file, and create it with its folder where it is missing.

        keep: how long each event is kept; None: for ever.

        Raises: StoreUnavailable.
        """
        # Absolute also so that SQLite takes no name, such as ":memory:", for something special.
        self._path = path.absolute()
        self._connection: sqlite3.Connection | None = None
        self._identity = (0, 0)
        self._keep = keep
        self._retention = Retention(keep)
        self._open_patiently()

    def probe(self) -> None:
        with self._transaction() as connection:
            # A write like any other, so that it also finds a disk that is full.
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def write(self, entries: Sequence[Entry]) -> WriteResult:
        fitting, rows, refused = to_rows(entries, _to_text)
        stored_at = _as_text(datetime.now(UTC))
        stored: list[Entry] = []
        duplicates: list[Entry] = []
        with self._transaction() as connection:
            for start in range(0, len(rows), _ROWS_AT_ONCE):
                some = slice(start, start + _ROWS_AT_ONCE)
                written = _write(connection, fitting[some], rows[some], stored_at)
                stored += written.stored
                duplicates += written.duplicates
                refused += written.refused
        return WriteResult(stored, duplicates, refused)

    def trim(self) -> int:
        if (keep := self._retention.due()) is None:
            return 0
        before = _as_text(datetime.now(UTC) - keep)
        with self._transaction() as connection:
            deleted = connection.execute(_DELETE, (before, STEP)).rowcount
        return self._retention.done(deleted)

    def known(self, event_ids: Iterable[str]) -> set[str]:
        """Those of these ids that the store has, as they were written by whoever asks.

        Raises: StoreUnavailable.
        """
        with self._closing_on_failure():
            connection = self._connection or self._open()
            find = "SELECT 1 FROM events WHERE event_id = ?"
            return {
                event_id
                for event_id in event_ids
                if connection.execute(find, (event_id.lower(),)).fetchone()
            }

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """One durable commit, at the end of the block; an exception leaves nothing behind."""
        with self._closing_on_failure():
            connection = self._connection or self._open()
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            # SQLite would go on writing to a file that nobody can find any more.
            if _identity(self._path) != self._identity:
                raise StoreUnavailable(f"The store {self._path} was moved or deleted.")
            connection.execute("COMMIT")

    def _open_patiently(self) -> None:
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
            cached_statements=_STATEMENTS,
        )
        self._connection = connection
        self._check(connection)  # before anything is changed: it may be somebody else's file
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
        if self._check(connection) == 0:
            for statement in _SCHEMA:
                connection.execute(statement)
        if self._keep is not None:
            connection.execute(_INDEX_BY_AGE)  # only those who delete by age pay for it
        connection.execute("COMMIT")
        self._identity = _identity(self._path)
        return connection

    def _check(self, connection: sqlite3.Connection) -> int:
        """The schema version of the file, 0 for a new one."""
        (application_id, version, tables) = connection.execute(
            "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_master) "
            "FROM pragma_application_id, pragma_user_version"
        ).fetchone()
        if application_id != APPLICATION_ID and (application_id, version, tables) != (0, 0, 0):
            raise StoreUnavailable(
                f"{self._path} is a SQLite file of something else, not a store of dlmon: "
                "choose another path."
            )
        if version > SCHEMA_VERSION:
            raise StoreUnavailable(
                f"{self._path} was made by a newer dlmon: upgrade this one, or choose another path."
            )
        return int(version)

    @contextmanager
    def _closing_on_failure(self) -> Iterator[None]:
        with _in_words(self._path):
            try:
                yield
            except BaseException:
                self.close()
                raise


def _write(
    connection: sqlite3.Connection,
    entries: Sequence[Entry],
    rows: Sequence[Row[str]],
    stored_at: str,
) -> WriteResult:
    """Insert the rows whose ids are not taken, by the store or by a row before."""
    values: list[str | float] = []
    for row in rows:
        values += row
        values.append(stored_at)
    inserted = connection.execute(_insertion(len(rows)), values).rowcount
    if inserted == len(rows):
        return WriteResult(entries)
    (newest,) = connection.execute(_NEWEST, (inserted,)).fetchone()
    new = set(newest.split("\0")) if inserted else set()
    stored: list[Entry] = []
    duplicates: list[Entry] = []
    conflicts: list[tuple[Entry, Violation]] = []
    for entry, row in zip(entries, rows, strict=True):
        if row.event_id in new:
            new.remove(row.event_id)  # the next one in this batch is another one
            stored.append(entry)
            continue
        taken_by = connection.execute("SELECT body FROM events WHERE event_id = ?", (row.event_id,))
        if taken_by.fetchone() == (row.body,):
            duplicates.append(entry)
        else:
            conflicts.append((entry, CONFLICT))
    return WriteResult(stored, duplicates, conflicts)


@lru_cache(_STATEMENTS)
def _insertion(rows: int) -> str:
    return _INSERT.replace(_ROW, ", ".join([_ROW] * rows))


def _to_text(given: Any) -> str:
    """A time of an event, as it is stored. Raises: ValueError for one that cannot be."""
    moment = to_utc(given)
    # The other way takes five times as long.
    return given[:-1].ljust(26, "0") + "Z" if _UTC(given) else _as_text(moment)


def _as_text(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds")[:26] + "Z"


@contextmanager
def _in_words(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.IntegrityError as error:
        # Somebody has added a constraint or a trigger of their own.
        raise EventsRefused(f"the store refuses it: {error}") from error
    except sqlite3.DatabaseError as error:
        reason = _REASONS.get(error.sqlite_errorcode & 0xFF, str(error))
        raise StoreUnavailable(f"The store {path} cannot be used: {reason}.") from error
    except OSError as error:
        raise StoreUnavailable(f"The store {path} cannot be used: {error.strerror}.") from error


def _is_busy(error: BaseException | None) -> bool:
    return isinstance(error, sqlite3.Error) and error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY


def _identity(path: Path) -> tuple[int, int]:
    """Which file this is, whatever it is called."""
    status = path.stat()
    return status.st_dev, status.st_ino
