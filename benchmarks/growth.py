"""`python -m benchmarks.growth`: the speed of a SQLite store that grows, on stdout.

A store of each size is filled by SQL. Then a process of its own writes batches into it, with this
version or with another one (`--against`). What counts is the time of `SqliteStore.write` alone.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

_HERE = "this version"
_WRITER = Path(__file__).with_name("growth_writer.py")
_START = 1_750_000_000_000_000  # microseconds since 1970
_APART = 10_000  # microseconds from one event to the next
_COLLECTED = (400_000, 30_000)  # random ids in the small tables of a store that has grown
_ROUNDS = 4  # in which random ids are added, so that the pages of the index are as full as they get
_BODY = json.dumps(
    {
        "event_id": "019a0000-0000-7000-8000-000000000000",
        "timestamp": "2026-03-01T12:00:00.000000Z",
        "coordinates": {"latitude": 51.935739, "longitude": -8.38847},
        "file_size": 1_596_500,
        "download_speed": 12.772,
    }
)
_NUMBERS = (
    "WITH RECURSIVE counted (n) AS (SELECT ? UNION ALL SELECT n + 1 FROM counted WHERE n < ?)"
)
_FILL = f"""{_NUMBERS}
    INSERT INTO stored_events SELECT n, new_id(n), {_START} + n * {_APART}, 51.935739, -8.38847,
        1596500, 12.772, ?, {_START} + n * {_APART} FROM counted"""
_FILL_0_1_0 = f"""{_NUMBERS}
    INSERT INTO events SELECT uuid(n), at, 51.935739, -8.38847, 1596500, 12.772, ?, at FROM (
        SELECT n, strftime('%Y-%m-%dT%H:%M:%S.000000Z', ({_START} + n * {_APART}) / 1000000,
            'unixepoch') AS at FROM counted)"""


class Measured(NamedTuple):
    """rate: events a second. core: microseconds of a core an event. volume: bytes an event.

    On a machine that does other things meanwhile, only core is to be relied on.
    """

    rate: float
    core: float
    volume: float


class Growing:
    """A store that is filled up to one size after another."""

    def __init__(self, path: Path, version: int, python: str = sys.executable) -> None:
        """version: of the UUIDs. python: which dlmon writes."""
        self._path = path
        self._version = version
        self._python = python
        self._write(0)

    def fill(self, size: int) -> None:
        """Have so many events in the store; it has those that were written, too."""
        with closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
            execute = connection.execute
            execute("PRAGMA journal_mode = OFF")
            execute("PRAGMA synchronous = OFF")
            execute("PRAGMA cache_size = -400000")
            new_id = "new_id(n)" if self._version == 7 else "randomblob(16)"  # much faster
            connection.create_function("new_id", 1, self._new_id)
            connection.create_function("uuid", 1, lambda number: _text(self._new_id(number)))
            (is_new,) = execute("SELECT user_version > 1 FROM pragma_user_version").fetchone()
            table = "stored_events" if is_new else "events"
            (present,) = execute(f"SELECT coalesce(max(rowid), 0) FROM {table}").fetchone()
            if size > present:
                execute("BEGIN")
                fill = _FILL.replace("new_id(n)", new_id) if is_new else _FILL_0_1_0
                execute(fill, (present + 1, size, _BODY))
                if is_new:
                    self._fill_ids(connection, size)
                execute("COMMIT")
            execute("PRAGMA journal_mode = WAL")

    def measure(self, count: int) -> Measured:
        """Write so many events."""
        taken, used = self._write(count)
        with closing(sqlite3.connect(self._path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            (rows,) = connection.execute("SELECT count(*) FROM events").fetchone()
        volume = self._path.stat().st_size / rows
        return Measured(count / taken, used / count * 1e6, volume)

    def _fill_ids(self, connection: sqlite3.Connection, size: int) -> None:
        """Have the ids where they would be if the events had been written."""
        execute = connection.execute
        (last,) = execute("SELECT coalesce(max(row), 0) FROM event_ids").fetchone()
        for table in ("event_ids_recent", "event_ids_new"):
            execute(f"INSERT INTO event_ids SELECT * FROM {table}")
            execute(f"DELETE FROM {table}")
        recent, new = _COLLECTED if self._version == 4 else (0, 0)
        settled = size - recent - new
        bounds = [last + (settled - last) * part // _ROUNDS for part in range(_ROUNDS + 1)]
        parts = [("event_ids", *both) for both in pairwise(bounds)]
        parts += [("event_ids_recent", settled, size - new), ("event_ids_new", size - new, size)]
        for table, after, until in parts:
            execute(
                f"INSERT OR IGNORE INTO {table} SELECT event_id, row FROM stored_events "
                "WHERE row > ? AND row <= ? ORDER BY event_id",
                (after, until),
            )
        for level, ids in enumerate((new, recent)):
            execute("UPDATE event_id_levels SET ids = ? WHERE level = ?", (ids, level))

    def _new_id(self, number: int) -> bytes:
        if self._version == 4:
            return secrets.token_bytes(16)
        at = (_START + number * _APART) // 1000
        return at.to_bytes(6, "big") + b"\x70" + secrets.token_bytes(9)

    def _write(self, count: int) -> tuple[float, float]:
        done = subprocess.run(
            [self._python, str(_WRITER), str(self._path), str(self._version), str(count)],
            capture_output=True,
            text=True,
            check=True,
        )
        taken, used = done.stdout.split()
        return float(taken), float(used)


def _text(key: bytes) -> str:
    digits = key.hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _print_rows(
    folder: Path, version: int, pythons: Mapping[str, str], given: argparse.Namespace
) -> None:
    """pythons: which dlmon writes, by its name."""
    stores = {
        name: Growing(folder / f"{number}-{version}.db", version, python)
        for number, (name, python) in enumerate(pythons.items())
    }
    for size in sorted({*given.sizes, *(given.against_sizes if len(pythons) > 1 else ())}):
        growing = {
            name: store
            for name, store in stores.items()
            if size in (given.sizes if name == _HERE else given.against_sizes)
        }
        for store in growing.values():
            store.fill(size)
        measured: dict[str, list[Measured]] = {name: [] for name in growing}
        for number in range(given.rounds):
            # Who is first changes: a disk is often slower at first.
            for name in sorted(growing, reverse=number % 2 == 1):
                measured[name].append(growing[name].measure(given.count))
        for name, rounds in measured.items():
            rate, core, volume = (statistics.median(values) for values in zip(*rounds, strict=True))
            print(
                f"| {name}, v{version} | {size:,} | {rate:,.0f} | {core:.1f} | {volume:.0f} |",
                flush=True,
            )


def main() -> None:
    """Print a row for each size."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[0, 1_000_000, 2_000_000, 10_000_000, 20_000_000]
    )
    parser.add_argument("--versions", type=int, nargs="+", default=[7, 4], help="of the UUIDs")
    parser.add_argument("--count", type=int, default=400_000, help="events to write into each")
    parser.add_argument("--rounds", type=int, default=1, help="of each size; medians are shown")
    parser.add_argument("--against", type=Path, help="the dlmon of another environment")
    parser.add_argument("--against-sizes", type=int, nargs="+", default=[0, 2_000_000])
    given = parser.parse_args()
    pythons = {_HERE: sys.executable}
    if given.against is not None:
        pythons["the other"] = str(given.against.absolute().with_name("python"))
    print("| store, ids | events in it | events/s | µs of a core | bytes an event |")
    print("|---|--:|--:|--:|--:|")
    for version in given.versions:
        with tempfile.TemporaryDirectory(prefix="dlmon-growth-") as folder:
            _print_rows(Path(folder), version, pythons, given)


if __name__ == "__main__":
    main()
