"""`python -m benchmarks.postgresql_copy`: the PostgreSQL store beside a bare COPY, on stdout.

Both take the same batches in turn, each committed durably: the store into its table, psycopg's COPY
the finished rows into another one with the same columns and indexes.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import psycopg

from benchmarks.growth_postgresql import entries
from dlmon.config.urls import StoreAddress
from dlmon.stores.base import Entry
from dlmon.stores.columns import Row, to_rows, to_utc
from dlmon.stores.postgresql import PostgresqlStore
from tests.support.postgres import PostgresServer

_BARE = "CREATE TABLE bare (LIKE dlmon_events INCLUDING ALL)"
_COPY = """
    COPY bare (event_id, timestamp, latitude, longitude, file_size, download_speed, body, stored_at)
    FROM STDIN"""


def _copy(connection: psycopg.Connection, rows: Sequence[Row[object]], stored_at: str) -> None:
    with connection.transaction(), connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        for row in rows:
            copy.write_row((*row, stored_at))


def measure(url: str, count: int, batch: int, rounds: int, *, ascending: bool) -> str:
    """A row of a table: medians of all rounds."""
    rates: dict[str, list[float]] = {"store": [], "copy": []}
    with PostgresqlStore(StoreAddress(url)) as store, psycopg.connect(url, autocommit=True) as bare:
        bare.execute(_BARE)

        def write(some: Sequence[Entry]) -> None:
            assert len(store.write(some).stored) == len(some)

        for number in range(rounds):
            new = [*entries(number * count, count, ascending=ascending)]
            rows = [to_rows(new[at : at + batch], to_utc)[1] for at in range(0, count, batch)]
            jobs: dict[str, Callable[[], object]] = {
                "store": lambda new=new: [
                    write(new[at : at + batch]) for at in range(0, count, batch)
                ],
                "copy": lambda rows=rows: [
                    _copy(bare, some, "2026-03-01T12:00:00Z") for some in rows
                ],
            }
            for name in sorted(jobs, reverse=number % 2 == 1):
                bare.execute("CHECKPOINT")
                started = time.perf_counter()
                jobs[name]()
                rates[name].append(count / (time.perf_counter() - started))
        bare.execute("DROP TABLE bare, dlmon_events")
    ratios = [ours / theirs for ours, theirs in zip(*rates.values(), strict=True)]
    return (
        f"| {7 if ascending else 4} | {statistics.median(rates['store']):,.0f} | "
        f"{statistics.median(rates['copy']):,.0f} | {statistics.median(ratios):.2f} | "
        f"{min(ratios):.2f} to {max(ratios):.2f} |"
    )


def main() -> None:
    """Print a row for each kind of id."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.postgresql_copy", description=__doc__
    )
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--count", type=int, default=40_000, help="events of each round")
    parser.add_argument("--batch", type=int, default=2_000)
    given = parser.parse_args()
    server = PostgresServer(durable=True)
    server.start()
    try:
        print("| UUID version | store, events/s | bare COPY | ratio | lowest to highest |")
        print("|--:|--:|--:|--:|--:|")
        for ascending in (True, False):
            row = measure(server.url, given.count, given.batch, given.rounds, ascending=ascending)
            print(row, flush=True)
    finally:
        server.remove()


if __name__ == "__main__":
    main()
