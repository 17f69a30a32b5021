"""Reading events from a SQLite store, also while consumers write to it.

A cursor is the number of the last row that was read, with its id: a store that was restored from an
older backup gives the number to another event.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EISDIR
from pathlib import Path
from stat import S_ISDIR
from urllib.parse import quote

from dlmon.errors import StoreUnavailable
from dlmon.runtime.sqlite_files import READ_HEADER, is_special_file, primary_code
from dlmon.stores.reading import Sample, StoredEvent, StoreReader
from dlmon.stores.sqlite_layout import (
    FORMAT,
    LAST_ROW,
    SCHEMA_VERSION,
    Key,
    key_to_text,
)

_BUSY_TIMEOUT = 5.0  # seconds
_MILLISECONDS = "(timestamp - (timestamp % 1000 + 1000) % 1000) / 1000"  # rounded down
_COLUMNS = f"{_MILLISECONDS}, latitude, longitude, file_size, download_speed"
_LAST_OF_NEXT = """
    SELECT max(row) FROM (
        SELECT row FROM stored_events WHERE row > ? AND row <= ? ORDER BY row LIMIT ?)"""
_NEWEST = """
    SELECT row, event_id FROM stored_events
    WHERE row <= (SELECT max(row) FROM stored_events) - ? ORDER BY row DESC LIMIT 1"""
_UP_TO = f"SELECT {_COLUMNS} FROM stored_events WHERE row > ? AND row <= ? ORDER BY row"
_BETWEEN = f"""
    SELECT {_COLUMNS} FROM stored_events WHERE timestamp >= ? AND timestamp < ?"""
_EVENTS_BETWEEN = f"""
    SELECT {_COLUMNS}, event_id, body FROM stored_events WHERE timestamp >= ? AND timestamp < ?"""
_ENDS = "SELECT (SELECT min(row) FROM stored_events), (SELECT max(row) FROM stored_events)"
_ID_OF = "SELECT event_id FROM stored_events WHERE row = ?"
_IDENTITY = "SELECT identity FROM store_identity"
_LAST_ROW = 2**63 - 1
_CURSOR = re.compile(r"(\d+) ([0-9a-f]*)")  # row, id

_NEEDS = "; its folder must be writable, since SQLite keeps files beside it: copy it to one that is"
_REASONS = {
    sqlite3.SQLITE_BUSY: "another process keeps it locked",
    sqlite3.SQLITE_READONLY: "it is read-only" + _NEEDS,
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened" + _NEEDS,
    sqlite3.SQLITE_NOTADB: "it is not a SQLite file",
}


class SqliteReader(StoreReader):
    """Reads a SQLite store, and never writes to it."""

    def __init__(self, path: Path) -> None:
        """Open the file, which must exist.

        Raises: StoreUnavailable.
        """
        self._path = path.absolute()
        if is_special_file(self._path):
            raise StoreUnavailable(f"{self._path} is not a regular file: choose another path.")
        with self._translated():
            status = self._path.stat()
            if S_ISDIR(status.st_mode):
                raise IsADirectoryError(EISDIR, os.strerror(EISDIR))
            self._connection = sqlite3.connect(
                f"file:{quote(str(self._path))}?{self._mode()}",
                uri=True,
                timeout=_BUSY_TIMEOUT,
                isolation_level=None,
            )
        try:
            self._identity = self._read_identity()
        except StoreUnavailable:
            self.close()
            raise

    @property
    def identity(self) -> str:
        """What the store was given when it was made: its copies have it too."""
        return f"sqlite {self._identity}"

    def knows(self, cursor: str) -> bool:
        with self._translated():
            return self._identity is None or self._row_of(cursor) is not None

    def remaining(self, cursor: str | None) -> int:
        if self._identity is None:
            return 0
        with self._transaction():
            row = 0 if cursor is None else self._row_of(cursor) or 0
            (first, last) = self._connection.execute(_ENDS).fetchone()
        return 0 if last is None else last - max(row, first - 1)

    def newest(self, count: int) -> str | None:
        if self._identity is None:
            return None
        with self._translated():
            found = self._connection.execute(_NEWEST, (count,)).fetchone()
        return None if found is None else _cursor(*found)

    def read_after(
        self, cursor: str | None, limit: int, until: str | None = None
    ) -> Iterator[tuple[list[Sample], str]]:
        match = _CURSOR.fullmatch(until or "")
        end = int(match[1]) if match else _LAST_ROW
        while self._identity is not None:
            # A transaction for each batch: a longer one would have the write-ahead log grow.
            with self._transaction():
                row = 0 if cursor is None else self._row_of(cursor)
                if row is None:  # replaced meanwhile: the next call begins anew
                    return
                execute = self._connection.execute
                (last,) = execute(_LAST_OF_NEXT, (row, end, limit)).fetchone()
                if last is None:
                    return
                (key,) = execute(_ID_OF, (last,)).fetchone()
                found = execute(_UP_TO, (row, last)).fetchall()
            cursor = _cursor(last, key)
            yield [*map(Sample._make, found)], cursor

    def read_between(self, start: int, end: int, limit: int) -> Iterator[list[Sample]]:
        if self._identity is None:
            return
        with self._transaction():
            rows = self._connection.execute(_BETWEEN, (start * 1000, end * 1000))
            while found := rows.fetchmany(limit):
                yield [*map(Sample._make, found)]

    def read_events(self, start: int, end: int, limit: int) -> Iterator[list[StoredEvent]]:
        if self._identity is None:
            return
        with self._transaction():
            rows = self._connection.execute(_EVENTS_BETWEEN, (start * 1000, end * 1000))
            while found := rows.fetchmany(limit):
                yield [
                    StoredEvent(Sample(*sample), key_to_text(key), body.encode())
                    for *sample, key, body in found
                ]

    def close(self) -> None:
        self._connection.close()

    def _mode(self) -> str:
        """How to open the file.

        On read-only media, nobody changes it and SQLite cannot make the files that it keeps beside
        it. It can do without them where there is no log to read.
        """
        read_only = os.statvfs(self._path).f_flag & os.ST_RDONLY
        log = self._path.with_name(f"{self._path.name}-wal")
        return "mode=ro&immutable=1" if read_only and not log.exists() else "mode=ro"

    def _read_identity(self) -> str | None:
        """The identity of the store; None where a consumer is about to make it.

        Raises: StoreUnavailable for a file of another program, or of another version.
        """
        with self._translated():
            header = self._connection.execute(READ_HEADER).fetchone()
            if problem := FORMAT.problem_with(self._path, header):
                raise StoreUnavailable(problem)
            version = header[1]
            if version == 0:
                return None
            if version < SCHEMA_VERSION:
                raise StoreUnavailable(
                    f"{self._path} was made by an older dlmon: start `dlmon consume` with it once, "
                    "which brings it up to date."
                )
            (identity,) = self._connection.execute(_IDENTITY).fetchone()
            return str(identity)

    def _row_of(self, cursor: str) -> int | None:
        """The row behind which the events are that a cursor has not seen; None if it has seen
        events that the store does not have, and that were not deleted."""
        match = _CURSOR.fullmatch(cursor)
        if match is None:
            return None
        row = int(match[1])
        found = self._connection.execute(_ID_OF, (row,)).fetchone()
        if found:
            return row if _in_hex(found[0]) == match[2] else None
        (last,) = self._connection.execute(LAST_ROW).fetchone()
        return row if row <= last else None

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._translated():
            self._connection.execute("BEGIN")
            try:
                yield
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Raises: StoreUnavailable for what SQLite and the system raise."""
        try:
            yield
        except FileNotFoundError as error:
            raise StoreUnavailable(
                f"There is no store {self._path}: `dlmon consume` makes it, and `--store` names "
                "another one."
            ) from error
        except sqlite3.Error as error:
            reason = _REASONS.get(primary_code(error), str(error))
            raise StoreUnavailable(f"The store {self._path} cannot be read: {reason}.") from error
        except OSError as error:
            raise StoreUnavailable(
                f"The store {self._path} cannot be read: {error.strerror}."
            ) from error


def _cursor(row: int, key: Key) -> str:
    return f"{row} {_in_hex(key)}"


def _in_hex(key: Key) -> str:
    return (key if isinstance(key, bytes) else key.encode()).hex()
