"""Ids that stand more than once, in any number of events: SQLite sorts them in a temporary file."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from typing import NamedTuple

import orjson

from dlmon.errors import FileError
from dlmon.event import EVENT_ID, event_id_of, normalize_id
from dlmon.event_files.block import WHITESPACE, Block
from dlmon.runtime.closeable import Closeable
from dlmon.runtime.stop import Stop

_ID_MEMBER = re.compile(rb'"%b"\s*+:\s*+("([^"]*+)")' % EVENT_ID.encode())
_CACHE_KB = 16 * 1024
_STEPS = 100_000  # of SQLite, between two looks at the stop: some milliseconds


class IdOccurrence(NamedTuple):
    """The `event_id` of an event, its identity, a hash of the body, and where the id stands."""

    event_id: str
    identity: str
    body_hash: bytes
    line: int
    column: int
    end_column: int


class RepeatedId(NamedTuple):
    """An id that an earlier event has.

    number, first_number: the index of the file, from 0. same_body: the events are equal too.
    """

    number: int
    line: int
    column: int
    end_column: int
    event_id: str
    same_body: bool
    first_number: int
    first_line: int
    first_column: int


def ids_in(block: Block) -> Iterator[IdOccurrence]:
    """The ids of the events of a block that have one, in their order."""
    at, position = 0, block.position
    for start, body in block.events():
        try:
            event_id = event_id_of(orjson.loads(body))
        except orjson.JSONDecodeError:
            continue
        if event_id is None:
            continue
        position = position.after(block.data[at:start])
        at = start
        # Where the member stands twice, this may be the other one, with the same value.
        quoted = event_id.encode()
        stands = (one.span(1) for one in _ID_MEMBER.finditer(body) if one[2] == quoted)
        first, last = next(stands, (0, 1))
        begin = position.after(body[:first])
        end = begin.after(body[first:last])
        digest = hashlib.blake2b(body.strip(WHITESPACE), digest_size=8).digest()
        identity = normalize_id(event_id)
        yield IdOccurrence(event_id, identity, digest, begin.line, begin.column, end.column)


class SeenIds(Closeable):
    """Remembers where ids stand. Use as a context manager.

    On disk, it needs some 80 bytes for each id, and twice that while it looks for repetitions.
    """

    def __init__(self, stop: Stop) -> None:
        """stop: a stop request ends `repeated`, which can take minutes.

        Raises: FileError.
        """
        self._stop = stop
        with _sqlite_errors_as_file_errors():
            # An empty name stands for a temporary file, which is deleted with the connection.
            self._database = sqlite3.connect("", isolation_level=None)
            for statement in (
                f"PRAGMA cache_size = -{_CACHE_KB}",
                "PRAGMA temp_store = FILE",
                "PRAGMA journal_mode = OFF",
                "CREATE TABLE seen "
                "(id TEXT, identity TEXT, body BLOB, line INT, col INT, end_col INT, number INT)",
                "BEGIN",
            ):
                self._database.execute(statement)

    def add(self, number: int, ids: Iterable[IdOccurrence]) -> None:
        """number: the index of the file that the ids stand in.

        Raises: FileError when there is no room for them.
        """
        with _sqlite_errors_as_file_errors():
            self._database.executemany(
                # Without numbered parameters: from Python 3.14 on, they take no sequence.
                "INSERT INTO seen SELECT column1, nullif(column2, column1), column3, column4, "  # noqa: S608
                f"column5, column6, {number:d} FROM (VALUES (?, ?, ?, ?, ?, ?))",
                ids,
            )

    def repeated(self) -> Iterator[RepeatedId]:
        """Every occurrence but the first of each id, in the order of files and lines.

        Raises: FileError.
        """
        if self._stop.requested:
            return
        self._database.set_progress_handler(lambda: self._stop.requested, _STEPS)
        try:
            with (
                _sqlite_errors_as_file_errors(),
                closing(self._database.execute(_REPEATED)) as rows,
            ):
                for row in rows:
                    yield RepeatedId._make((*row[:5], bool(row[5]), *row[6:]))
        except FileError:
            if not self._stop.requested:
                raise

    def close(self) -> None:
        self._database.close()


@contextmanager
def _sqlite_errors_as_file_errors() -> Iterator[None]:
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
    FROM seen WINDOW each AS (PARTITION BY coalesce(identity, id) ORDER BY number, line, col)
)
WHERE nth > 1 ORDER BY number, line, col
"""
