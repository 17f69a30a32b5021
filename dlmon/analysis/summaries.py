"""Summaries of events, in a file of their own that follows a store.

A summary is what `Stats` holds, for an hour in UTC and a place. Events are counted in the hour of
their own timestamp, however late they come. The file can be deleted at any time: it is made again.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Set
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple, TypeAlias

from dlmon.analysis.collecting import Collection
from dlmon.analysis.levels import Level, Summary
from dlmon.analysis.stats import Stats
from dlmon.errors import FileError
from dlmon.runtime.closeable import Closeable
from dlmon.runtime.sqlite_files import READ_HEADER, FileFormat, is_special_file
from dlmon.runtime.stop import Stop
from dlmon.stores.reading import StoreReader

APPLICATION_ID = 0x646C6D73
"""`PRAGMA application_id` of a file of summaries: the letters "dlms"."""

FORMAT_VERSION = 4
"""`PRAGMA user_version`. A file of another version is made again."""

NEWEST = 350_000
"""Events that are summarised before the others: a day of a store with ten million a month."""

_READ = 10_000  # events at a time
_MAX_SIZE = 24_000_000  # bytes of events that are collected in memory
_SCHEMA = (
    "CREATE TABLE summary ("
    " level INTEGER NOT NULL,"  # Level
    " at INTEGER NOT NULL,"  # the first hour, in hours since the epoch
    " country TEXT NOT NULL,"  # '' for the world
    " cell TEXT NOT NULL,"  # '' for a country and the world
    " count INTEGER NOT NULL,"  # of downloads: that of stats, which need not be unpacked
    " stats BLOB NOT NULL,"
    " PRIMARY KEY (level, at, country, cell)) WITHOUT ROWID",
    "CREATE TABLE progress ("
    " identity TEXT NOT NULL,"
    " events INTEGER NOT NULL,"
    " cursor TEXT,"  # what is stored later comes behind it
    " older TEXT,"  # events between it and the next one are still to be summarised
    " older_end TEXT)",  # NULL where there are none
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {FORMAT_VERSION}",
)
_FORMAT = FileFormat("a file of summaries", APPLICATION_ID, FORMAT_VERSION)
_CACHE_KIB = 16_000
_LOCK_POLL = 0.05  # seconds
_ADVICE = (
    " Its folder must be writable, or leave summaries out by --exact; the file itself can be "
    "deleted, and is made again."
)
_PUT = (
    "INSERT INTO summary VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO "
    "UPDATE SET count = count + excluded.count, stats = merged(stats, excluded.stats)"
)
_COUNTS = """
    WITH hours AS MATERIALIZED (SELECT value AS at FROM json_each(:hours))
    SELECT country, cell, at, count FROM summary
    WHERE level = :level AND at IN hours AND (country, cell) IN (
        SELECT country, cell FROM summary
        WHERE level = :level AND at IN hours AND count >= :at_least)
    ORDER BY country, cell"""
_PACKED = """
    SELECT at, stats FROM summary
    WHERE level = ? AND at IN (SELECT value FROM json_each(?)) AND country = ? AND cell = ?"""


Progress: TypeAlias = Callable[[int, int], None]
"""Called with the number of events that are summarised so far, and about how many there are."""


class _Place(NamedTuple):
    """How far a store is summarised: up to `cursor`, but not from `older` to `older_end`."""

    cursor: str | None = None
    older: str | None = None
    older_end: str | None = None

    def with_older(self, cursor: str | None) -> _Place:
        """Older events are summarised up to a cursor; None where there were no more."""
        return _Place(self.cursor) if cursor is None else self._replace(older=cursor)


class Summaries(Closeable):
    """A file of summaries. Use as a context manager."""

    def __init__(self, path: Path) -> None:
        """Open the file, and create it where it is missing or of another version.

        Raises: FileError.
        """
        self._path = path.absolute()
        if is_special_file(self._path):
            raise FileError(f"{self._path} is not a regular file: move it away.")
        with self._translated():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            with self._translated():
                self._connection = sqlite3.connect(self._path, isolation_level=None)
            try:
                with self._translated():
                    self._prepare()
                    self._file = self._path.stat()
            except FileError:
                self._connection.close()
                raise
        except FileError:
            os.close(self._lock)
            raise

    @property
    def events(self) -> int:
        """How many events are summarised so far.

        Raises: FileError.
        """
        with self._translated():
            row = self._connection.execute("SELECT events FROM progress").fetchone()
        return row[0] if row else 0

    @property
    def is_gone(self) -> bool:
        """Whether the file was deleted since it was opened, or another one is in its place."""
        try:
            return not os.path.samestat(self._file, self._path.stat())
        except FileNotFoundError:
            return True

    def follow(
        self, reader: StoreReader, stop: Stop, on_progress: Progress = lambda _done, _total: None
    ) -> None:
        """Summarise what was stored since the last time; all of it, where that was another store.

        Of a store that is looked at for the first time, the newest events come first, and what is
        stored meanwhile comes before older ones.

        Of several processes that follow at once, one does the work and the others wait for it. What
        is done is in the file after each transaction: a process that is killed loses nothing else.

        Raises: FileError, StoreUnavailable.
        """
        with self._locked(stop) as locked:
            if not locked:
                return
            place, events = self._place(reader), self.events
            total = events + _left(reader, place)

            def add(*, older: bool) -> bool:
                """Add what fits into memory; whether there is more."""
                nonlocal place, events
                after, until = (place.older, place.older_end) if older else (place.cursor, None)
                collected, reached = Collection(), None
                for samples, cursor in reader.read_after(after, _READ, until):
                    collected.add(samples)
                    reached = cursor
                    events += len(samples)
                    on_progress(events, max(events, total))
                    if stop.requested or collected.size >= _MAX_SIZE:
                        break
                if older:
                    place = place.with_older(reached)
                elif reached is None:
                    return False
                else:
                    place = place._replace(cursor=reached)
                self._write(collected, place, events)
                return collected.size >= _MAX_SIZE

            has_more = True
            while has_more:
                has_more = add(older=False) and not stop.requested
                # What is stored meanwhile waits for one step of older events.
                if place.older_end is not None and not has_more and not stop.requested:
                    add(older=True)
                    has_more = True

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Within the block, everything that is read is of one moment.

        Raises: FileError.
        """
        with self._translated():
            self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.execute("ROLLBACK")

    def span(self) -> tuple[int, int] | None:
        """The first hour that has downloads and the last, since the epoch; None without any.

        Raises: FileError.
        """
        query = "SELECT min(at), max(at) FROM summary WHERE level = ?"
        with self._translated():
            first, last = self._connection.execute(query, (Level.WORLD_HOUR,)).fetchone()
        return None if first is None else (first, last)

    def read(
        self,
        level: Level,
        start: int,
        end: int,
        countries: Set[str] | None = None,
        cell: str | None = None,
    ) -> Iterator[Summary]:
        """Summaries of a level whose first hour is in a range, in the order of hours.

        start, end: hours since the epoch; the end is exclusive. countries: only of these. cell:
        only of cells whose name begins so.

        Raises: FileError.
        """
        query = (
            "SELECT at, country, cell, stats FROM summary WHERE level = ? AND at >= ? AND at < ?"
        )
        values: list[int | str] = [level, start, end]
        if countries is not None:
            query += f" AND country IN ({', '.join('?' * len(countries))})"
            values += countries
        if cell:
            query += " AND substr(cell, 1, ?) = ?"
            values += [len(cell), cell]
        query += " ORDER BY at"
        with self._translated():
            for at, place, name, packed in self._connection.execute(query, values):
                yield Summary(at, place, name, Stats.unpack(packed))

    def hours(self, start: int, end: int) -> set[int]:
        """The hours of a range that have downloads. start, end: as of `read`.

        Raises: FileError.
        """
        query = "SELECT at FROM summary WHERE level = ? AND at >= ? AND at < ?"
        with self._translated():
            return {at for (at,) in self._connection.execute(query, (Level.WORLD_HOUR, start, end))}

    def counts(
        self, level: Level, hours: Iterable[int], at_least: int
    ) -> Iterator[tuple[str, str, dict[int, int]]]:
        """How many downloads each group of a level had in each of some hours: country, cell, and
        downloads by hour, of groups that had `at_least` so many in one of the hours.

        Raises: FileError.
        """
        values = {"level": level, "hours": json.dumps([*hours]), "at_least": at_least}
        with self._translated():
            rows = self._connection.execute(_COUNTS, values)
            for (country, cell), found in groupby(rows, itemgetter(0, 1)):
                yield country, cell, {at: count for _, _, at, count in found}

    def packed(
        self, level: Level, country: str, cell: str, hours: Iterable[int]
    ) -> dict[int, bytes]:
        """What `Stats.pack` gave of a group, by hour, of those of the hours that have downloads.

        Raises: FileError.
        """
        values = (level, json.dumps([*hours]), country, cell)
        with self._translated():
            return dict(self._connection.execute(_PACKED, values))

    def close(self) -> None:
        self._connection.close()
        os.close(self._lock)

    def _prepare(self) -> None:
        self._connection.create_function("merged", 2, _merged, deterministic=True)
        execute = self._connection.execute
        execute("PRAGMA journal_mode = WAL")
        execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        execute("PRAGMA synchronous = NORMAL")  # what a power cut takes is summarised again
        execute("BEGIN IMMEDIATE")
        header = execute(READ_HEADER).fetchone()
        if problem := _FORMAT.problem_with(self._path, header):
            execute("ROLLBACK")
            raise FileError(problem)
        if header[1] != FORMAT_VERSION:
            for name in ("summary", "progress"):
                execute(f"DROP TABLE IF EXISTS {name}")
            for statement in _SCHEMA:
                execute(statement)
        execute("COMMIT")

    def _place(self, reader: StoreReader) -> _Place:
        """Where to go on. What another store said is forgotten."""
        with self._translated():
            found = self._connection.execute(
                "SELECT identity, cursor, older, older_end FROM progress"
            ).fetchone()
            if found:
                identity, place = found[0], _Place(*found[1:])
                if identity == reader.identity and (
                    place.cursor is None or reader.knows(place.cursor)
                ):
                    return place
            newest = reader.newest(NEWEST)
            place = _Place(newest, None, newest)
            with self._transaction() as connection:
                connection.execute("DELETE FROM summary")
                connection.execute("DELETE FROM progress")
                connection.execute(
                    "INSERT INTO progress VALUES (?, 0, ?, ?, ?)", (reader.identity, *place)
                )
        return place

    def _write(self, collected: Collection, place: _Place, events: int) -> None:
        rows = (
            (level, hour, country, cell, stats.count, stats.pack())
            for level, (hour, country, cell, stats) in collected.summaries()
        )
        with self._translated(), self._transaction() as connection:
            connection.executemany(_PUT, rows)
            connection.execute(
                "UPDATE progress SET cursor = ?, older = ?, older_end = ?, events = ?",
                (*place, events),
            )

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
        except BaseException:
            execute("ROLLBACK")
            raise
        execute("COMMIT")

    @contextmanager
    def _locked(self, stop: Stop) -> Iterator[bool]:
        """Hold the lock of those that follow; False where a stop came first."""
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if stop.wait(_LOCK_POLL):
                    yield False
                    return
        try:
            yield True
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Raises: FileError for what SQLite and the system raise."""
        try:
            yield
        except sqlite3.Error as error:
            raise FileError(
                f"Cannot use the summaries in {self._path}: {error}.{_ADVICE}"
            ) from error
        except OSError as error:
            raise FileError(
                f"Cannot use the summaries in {self._path}: {error.strerror}.{_ADVICE}"
            ) from error


def _left(reader: StoreReader, place: _Place) -> int:
    """About how many events are still to be summarised."""
    left = reader.remaining(place.cursor)
    if place.older_end is not None:
        left += reader.remaining(place.older) - reader.remaining(place.older_end)
    return left


def _merged(stats: bytes, more: bytes) -> bytes:
    """Packed `Stats` of two groups together."""
    both = Stats.unpack(stats)
    both.merge(Stats.unpack(more))
    return both.pack()
