"""Ids that stand more than once, among any number of them: SQLite sorts, in a file of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from typing import NamedTuple

from dlmon.errors import FileError
from dlmon.linting.ids import IdSeen
from dlmon.runtime.closeable import Closeable

_CACHE_KB = 16 * 1024


class Repeated(NamedTuple):
    """An id that stood before.

    number, first_number: which of the files, from 0. same: the bodies are equal too.
    """

    number: int
    line: int
    column: int
    end_column: int
    event_id: str
    same: bool
    first_number: int
    first_line: int
    first_column: int


class UniqueIds(Closeable):
    """Remembers where ids stand. Use as a context manager.

    On disk, it needs some 80 bytes for each id, and twice that while it looks for repetitions.
    """

    def __init__(self) -> None:
        # A name that is empty is a temporary file, which vanishes with the connection.
        self._database = sqlite3.connect("", isolation_level=None)
        for statement in (
            f"PRAGMA cache_size = -{_CACHE_KB}",
            "PRAGMA temp_store = FILE",
            "PRAGMA journal_mode = OFF",
            "CREATE TABLE seen (id TEXT, body BLOB, line INT, col INT, end_col INT, number INT)",
            "BEGIN",
        ):
            self._database.execute(statement)

    def add(self, number: int, ids: Iterable[IdSeen]) -> None:
        """number: the file that they stand in.

        Raises: FileError when there is no room for them.
        """
        with _translated():
            self._database.executemany(
                f"INSERT INTO seen VALUES (?, ?, ?, ?, ?, {number:d})",  # noqa: S608  (a number)
                ids,
            )

    def repeated(self) -> Iterator[Repeated]:
        """Every occurrence but the first of each id, in the order of files and lines.

        Raises: FileError.
        """
        with _translated(), closing(self._database.execute(_REPEATED)) as rows:
            for row in rows:
                yield Repeated._make((*row[:5], bool(row[5]), *row[6:]))

    def close(self) -> None:
        self._database.close()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        reason = f"Cannot compare ids: {error}. SQLITE_TMPDIR names a folder with room for them."
        raise FileError(reason) from error


_REPEATED = """
SELECT number, line, col, end_col, id, body = first_body, first_number, first_line, first_col
FROM (
    SELECT *, row_number() OVER each AS nth, first_value(body) OVER each AS first_body,
        first_value(number) OVER each AS first_number, first_value(line) OVER each AS first_line,
        first_value(col) OVER each AS first_col
    FROM seen WINDOW each AS (PARTITION BY id ORDER BY number, line, col)
)
WHERE nth > 1 ORDER BY number, line, col
"""
