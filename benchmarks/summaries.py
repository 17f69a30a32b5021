"""`python -m benchmarks.summaries [--events N] [--days N] [--folder FOLDER]`: how long
reports take, and how much memory.

Fills a SQLite store with simulated downloads, spread evenly over some days, by SQL. Each report is
a process of its own: the first one summarises all events.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen

import orjson

from benchmarks.rounds import ROOT
from dlmon.sources.simulation.downloads import Downloads
from dlmon.stores.sqlite import SqliteStore

_START = 1_772_323_200_000_000  # 2026-03-01, in microseconds since the epoch
DAY = 86_400_000_000
"""Microseconds."""
_DISTINCT = 100_000
"""Downloads that are simulated; each event is one of them at another time."""

_FILL = """
    INSERT INTO stored_events
        (event_id, timestamp, latitude, longitude, file_size, download_speed, body, stored_at)
    WITH RECURSIVE number(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM number WHERE n < ? - 1)
    SELECT randomblob(16), ? + n * ?, latitude, longitude, file_size, download_speed, body, ?
    FROM number CROSS JOIN simulated ON simulated.rowid = 1 + abs(random()) % ?"""


@dataclass(frozen=True, slots=True)
class Run:
    """A report. seconds, cpu: from start to end. memory: the most that was resident, in bytes."""

    seconds: float
    cpu: float
    memory: int


def main() -> None:
    """Print a line of Markdown for each report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.summaries", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--folder", type=Path, help="where a store is kept for the next time")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Path(arguments.folder or folder, f"store-{arguments.events}-{arguments.days}.db")
        summaries = store.with_name(f"{store.stem}.summaries.db")
        for file in store.parent.glob(f"{summaries.name}*"):
            file.unlink()
        if not store.exists():
            # In another process: a child begins with what its parent has in memory.
            filling = get_context("spawn").Process(
                target=fill, args=(store, arguments.events, arguments.days)
            )
            filling.start()
            filling.join()
        print("| report | seconds | CPU seconds | us CPU an event | MB of memory |")
        print("|---|--:|--:|--:|--:|")
        for name, options in (
            ("the first, `--by hour`", ("--by", "hour")),
            ("`--by hour`", ("--by", "hour")),
            ("`--by country`", ("--by", "country")),
            ("`--by cell`", ("--by", "cell")),
            ("`--anomalies`, the last day", ("--anomalies", "--since", _day(arguments.days - 1))),
            ("`--anomalies`", ("--anomalies",)),
        ):
            run = report(store, arguments.days, *options)
            print(
                f"| {name} | {run.seconds:.2f} | {run.cpu:.2f} "
                f"| {1e6 * run.cpu / arguments.events:.2f} | {run.memory / 1e6:.0f} |",
                flush=True,
            )
        size = summaries.stat().st_size
        print(
            f"\n{arguments.events:,} events of {arguments.days} days: {size / 1e6:.0f} MB of "
            f"summaries beside {store.stat().st_size / 1e6:,.0f} MB"
        )


def fill(path: Path, count: int, days: int, start: int = _START) -> None:
    """Make a store of so many events. start: of the first one, in microseconds since the epoch."""
    SqliteStore(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(
            "CREATE TEMP TABLE simulated (latitude, longitude, file_size, download_speed, body)"
        )
        connection.executemany("INSERT INTO simulated VALUES (?, ?, ?, ?, ?)", _simulated())
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(
            _FILL, (count, start, days * DAY // count, start + days * DAY, _DISTINCT)
        )


def _simulated() -> Iterator[tuple[float, float, int, float, str]]:
    for event in Downloads(seed=1, start=0).make(_DISTINCT):
        values = orjson.loads(event.body)
        place = values["coordinates"]
        yield (
            place["latitude"],
            place["longitude"],
            values["file_size"],
            values["download_speed"],
            event.body.decode(),
        )


def report(store: Path, days: int, *options: str) -> Run:
    """Run `dlmon report` over all days of a store."""
    command = [sys.executable, "-m", "dlmon", "report", "--store", f"sqlite:///{store}"]
    started = time.perf_counter()
    command += ["--since", _day(0), "--until", _day(days), *options]
    process = Popen(command, cwd=ROOT, stdout=PIPE, stderr=DEVNULL)
    assert process.stdout is not None
    process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    seconds = time.perf_counter() - started
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def _day(number: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(_START / 1e6 + number * 86_400))


if __name__ == "__main__":
    main()
