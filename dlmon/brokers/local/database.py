"""The local broker's file: what is in it, who may write when, and SQLite's errors in words."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from dlmon.errors import BrokerUnreachable, Interrupted
from dlmon.runtime.sqlite_files import READ_HEADER, FileFormat, is_special_file, primary_code

APPLICATION_ID = 0x646C6D62
"""What `PRAGMA application_id` says in a file of the local broker: "dlmb"."""

SCHEMA_VERSION = 1
"""What `PRAGMA user_version` says: a file with a higher one is of a newer dlmon."""

_FORMAT = FileFormat("a broker", APPLICATION_ID, SCHEMA_VERSION)

_OPEN_TIMEOUT = 5.0
_BUSY_TICK = 0.1
_BUSY_WARNING = 5.0
_MAX_WAL_BYTES = 16 * 1024 * 1024

# AUTOINCREMENT: the id of a message or a holder is never used again, so that what a stale delivery
# names can never be another one.
_SCHEMA = (
    """
    CREATE TABLE holder (            -- a consumer or a reader that is open now
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        queue TEXT NOT NULL,
        counts INTEGER NOT NULL,     -- whether what comes back from it has one more delivery
        seconds REAL NOT NULL,       -- how long its lease lasts
        renewed_at REAL NOT NULL     -- seconds since the epoch
    )""",
    """
    CREATE TABLE message (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        queue TEXT NOT NULL,         -- NAMESPACE.arrivals or NAMESPACE.rejects
        holder INTEGER,              -- NULL: ready
        delivery_count INTEGER NOT NULL DEFAULT 0,
        message_id TEXT NOT NULL,
        content_type TEXT,
        correlation_id TEXT,
        headers TEXT NOT NULL,       -- a JSON object
        body BLOB NOT NULL,
        dead_queue TEXT,             -- where it came from, when it was dead-lettered
        dead_count INTEGER,          -- how often it had been delivered there
        dead_at INTEGER              -- milliseconds since the epoch
    )""",
    "CREATE INDEX ready ON message (queue) WHERE holder IS NULL",
    "CREATE INDEX held ON message (holder) WHERE holder IS NOT NULL",
    f"PRAGMA application_id = {APPLICATION_ID}",
)

# Columns of `message` that version 1 did not have from its first day. Programs that do not know
# them work with the file as before.
_ADDED_COLUMNS = {"content_encoding": "TEXT", "type": "TEXT", "app_id": "TEXT"}

# An index that the first version did not have, likewise.
_DEAD_LETTERS = """
    CREATE INDEX IF NOT EXISTS dead_letter ON message (dead_at) WHERE dead_at IS NOT NULL"""

_log = logging.getLogger(__name__)

GiveUp: TypeAlias = Callable[[], bool]
"""Called while another process has the file locked: whether to stop waiting."""


def patience(seconds: float) -> GiveUp:
    """Give up so many seconds from now."""
    until = time.monotonic() + seconds
    return lambda: time.monotonic() >= until


class Database:
    """One connection. Writing is for one thread at a time."""

    def __init__(self, path: Path) -> None:
        """Raises: BrokerUnreachable."""
        self._path = path
        if is_special_file(path):
            raise BrokerUnreachable(f"{path} is not a regular file: choose another path.")
        with self._translating_errors():
            self._connection = sqlite3.connect(
                path, timeout=_BUSY_TICK, isolation_level=None, check_same_thread=False
            )
            try:
                self._connection.execute(f"PRAGMA journal_size_limit = {_MAX_WAL_BYTES}")
            except sqlite3.Error:
                self._connection.close()
                raise

    def prepare(self) -> None:
        """Make sure that the file is a local broker's; an empty or new one becomes one.

        Raises: BrokerUnreachable.
        """
        give_up = patience(_OPEN_TIMEOUT)
        try:
            # Before anything is changed: the file may belong to another program.
            self._check(give_up)
            ((mode,),) = self.read("PRAGMA journal_mode = WAL", give_up=give_up)
            if mode != "wal":
                raise BrokerUnreachable(
                    f"The file system of {self._path} cannot do SQLite's write-ahead log: "
                    "choose a path on a local disk."
                )
            with self.write(give_up) as connection:
                if not connection.execute("PRAGMA user_version").fetchone()[0]:
                    for statement in _SCHEMA:
                        connection.execute(statement)
                columns = {row[1] for row in connection.execute("PRAGMA table_info(message)")}
                for name, kind in _ADDED_COLUMNS.items():
                    if name not in columns:
                        connection.execute(f"ALTER TABLE message ADD COLUMN {name} {kind}")
                connection.execute(_DEAD_LETTERS)
                # Each time: BEGIN IMMEDIATE succeeds on a file that must not be written to.
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        except Interrupted as error:
            raise BrokerUnreachable(
                f"Another process keeps {self._path} locked: end it, or choose another path."
            ) from error

    @contextmanager
    def write(self, give_up: GiveUp, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """One transaction, committed at the end of the block and rolled back by an exception.

        durable: what was committed survives a power cut; without, only the end of the process.

        Raises: BrokerUnreachable. Interrupted when it gave up waiting for another process.
        """
        with self._translating_errors():
            self._execute_patiently(
                f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}", (), give_up
            )
            self._execute_patiently("BEGIN IMMEDIATE", (), give_up)
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                # After some errors, a full disk among them, SQLite has rolled back by itself.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def read(self, sql: str, parameters: Any = (), *, give_up: GiveUp) -> list[Any]:
        """The rows of one statement.

        Raises: BrokerUnreachable. Interrupted when it gave up waiting for another process.
        """
        with self._translating_errors():
            return self._execute_patiently(sql, parameters, give_up)

    def version(self, give_up: GiveUp) -> int:
        """A number that changes when other connections commit something (`PRAGMA data_version`).

        Raises: as `read`.
        """
        version: int = self.read("PRAGMA data_version", give_up=give_up)[0][0]
        return version

    def close(self) -> None:
        self._connection.close()

    def _execute_patiently(self, sql: str, parameters: Any, give_up: GiveUp) -> list[Any]:
        waiting_since = time.monotonic()
        warned = False
        while True:
            try:
                return self._connection.execute(sql, parameters).fetchall()
            except sqlite3.OperationalError as error:
                if primary_code(error) != sqlite3.SQLITE_BUSY:
                    raise
                if give_up():
                    raise Interrupted(f"Another process keeps {self._path} locked.") from error
            if not warned and time.monotonic() - waiting_since > _BUSY_WARNING:
                _log.warning("Waiting for another process that keeps %s locked.", self._path)
                warned = True

    def _check(self, give_up: GiveUp) -> None:
        (header,) = self.read(READ_HEADER, give_up=give_up)
        if problem := _FORMAT.problem_with(self._path, header):
            raise BrokerUnreachable(problem)

    @contextmanager
    def _translating_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            advice = _ADVICE.get(primary_code(error), "choose another path for the broker")
            raise BrokerUnreachable(
                f"Cannot use the broker's file {self._path} ({error}): {advice}."
            ) from error


_CHECK_PERMISSIONS = "check who may write to it and to its folder, or choose another path"
_ADVICE = {
    sqlite3.SQLITE_NOTADB: "it is something else, so choose another path",
    sqlite3.SQLITE_CORRUPT: "it is damaged, so move it away and save what `sqlite3 FILE .recover` "
    "finds in it",
    sqlite3.SQLITE_CANTOPEN: _CHECK_PERMISSIONS,
    sqlite3.SQLITE_READONLY: _CHECK_PERMISSIONS,
    sqlite3.SQLITE_IOERR: "check the disk it is on",
    sqlite3.SQLITE_FULL: "make room on the disk, and try again",
}
