"""Reading events from a SQLite store, also while consumers write to it.

The table has no INTEGER PRIMARY KEY, so that VACUUM may number its rows anew. A cursor therefore
names the last event that was read: its row is looked for by its id.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from errno import EISDIR
from functools import lru_cache
from pathlib import Path
from stat import S_ISDIR
from urllib.parse import quote

from dlmon.errors import StoreUnavailable
from dlmon.runtime.sqlite_files import READ_HEADER, FileFormat, primary_code
from dlmon.stores.reading import Sample, StoreReader
from dlmon.stores.sqlite import APPLICATION_ID, SCHEMA_VERSION

_FORMAT = FileFormat("a store", APPLICATION_ID, SCHEMA_VERSION)
_BUSY_TIMEOUT = 5.0  # seconds
_AFTER = """
    SELECT timestamp, latitude, longitude, file_size, download_speed, rowid, stored_at, event_id
    FROM events WHERE rowid > ? ORDER BY rowid LIMIT ?"""
_BETWEEN = """
    SELECT timestamp, latitude, longitude, file_size, download_speed
    FROM events WHERE timestamp >= ? AND timestamp < ?"""
_CURSOR = re.compile(r"(\d+) (\S+) (.*)", re.DOTALL)  # rowid, stored_at, event_id
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEAR_10000 = 253_402_300_800_000

_NEEDS = "; its folder must be writable, since SQLite keeps files beside it: copy it to one that is"
_REASONS = {
    sqlite3.SQLITE_BUSY: "another process keeps it locked",
    sqlite3.SQLITE_READONLY: "it is read-only" + _NEEDS,
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened" + _NEEDS,
    sqlite3.SQLITE_NOTADB: "it is not a SQLite file",
}


class SqliteReader(StoreReader):
    """Reads a SQLite store, and never writes to it.

    A store that is emptied by hand and filled again looks like one whose events grew old: delete
    its summaries too.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, which must exist.

        Raises: StoreUnavailable.
        """
        self._path = path.absolute()
        with self._translated():
            status = self._path.stat()
            self._identity = f"sqlite {APPLICATION_ID} {status.st_ino}"
            if S_ISDIR(status.st_mode):
                raise IsADirectoryError(EISDIR, os.strerror(EISDIR))
            self._connection = sqlite3.connect(
                f"file:{quote(str(self._path))}?mode=ro",
                uri=True,
                timeout=_BUSY_TIMEOUT,
                isolation_level=None,
            )
        try:
            self._empty = not self._has_tables()
        except StoreUnavailable:
            self.close()
            raise

    @property
    def identity(self) -> str:
        """The inode of the file: one that is put in its place, even a copy, has another."""
        return self._identity

    def knows(self, cursor: str) -> bool:
        with self._translated():
            return self._empty or self._row_of(cursor) is not None

    def read_after(self, cursor: str | None, limit: int) -> Iterator[tuple[list[Sample], str]]:
        while not self._empty:
            # A transaction for each batch: a longer one would have the write-ahead log grow.
            with self._transaction():
                row = 0 if cursor is None else self._row_of(cursor)
                if row is None:  # replaced meanwhile: the next call begins anew
                    return
                found = self._connection.execute(_AFTER, (row, limit)).fetchall()
            if not found:
                return
            *_, last, stored_at, event_id = found[-1]
            cursor = f"{last} {stored_at} {event_id}"
            yield list(_samples(found)), cursor

    def read_between(self, start: int, end: int, limit: int) -> Iterator[list[Sample]]:
        if self._empty:
            return
        # Times of years beyond 9999 cannot be written, and none is stored.
        times = [_format(at) for at in (start, end)]
        with self._transaction():
            rows = self._connection.execute(_BETWEEN, times)
            while found := rows.fetchmany(limit):
                yield list(_samples(found))

    def close(self) -> None:
        self._connection.close()

    def _has_tables(self) -> bool:
        """Whether the file is more than one that a consumer is about to make.

        Raises: StoreUnavailable for a file of another program, or of a newer dlmon.
        """
        with self._translated():
            header = self._connection.execute(READ_HEADER).fetchone()
        if problem := _FORMAT.problem_with(self._path, header):
            raise StoreUnavailable(problem)
        return bool(header[1])

    def _row_of(self, cursor: str) -> int | None:
        """The rowid behind which the events are that a cursor has not seen; None if it has seen
        events that the store does not have, though it has older ones."""
        match = _CURSOR.fullmatch(cursor)
        if match is None:
            return None
        rowid, stored_at, event_id = int(match[1]), match[2], match[3]
        execute = self._connection.execute
        if found := execute("SELECT rowid FROM events WHERE event_id = ?", (event_id,)).fetchone():
            return int(found[0])
        # It was deleted, and with it all that are older: then what is left was stored later. SQLite
        # gives numbers again only once there are no rows.
        first = execute("SELECT rowid, stored_at FROM events ORDER BY rowid LIMIT 1").fetchone()
        if first is None or first[1] > stored_at:
            return 0
        return rowid if first[1] == stored_at and first[0] > rowid else None

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


def _samples(rows: Iterable[tuple[str, float, float, int, float]]) -> Iterator[Sample]:
    for at, latitude, longitude, file_size, download_speed, *_ in rows:
        # 2026-03-01T12:00:00.000000Z
        since_hour = (int(at[14:16]) * 60 + int(at[17:19])) * 1000 + int(at[20:23])
        yield Sample(_hour(at[:13]) + since_hour, latitude, longitude, file_size, download_speed)


@lru_cache(maxsize=10_000)
def _hour(text: str) -> int:
    """Milliseconds since the epoch of an hour such as 2026-03-01T12, in UTC."""
    return (datetime.fromisoformat(f"{text}:00:00+00:00") - _EPOCH) // timedelta(milliseconds=1)


def _format(at: int) -> str:
    """A time as it stands in the store. at: milliseconds since the epoch, from the year 1 on."""
    if at >= _YEAR_10000:
        return ":"  # comes behind all digits
    moment = _EPOCH + timedelta(milliseconds=at)
    return f"{moment.isoformat(timespec='microseconds')[:26]}Z"
