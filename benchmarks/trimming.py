"""`python -m benchmarks.trimming`: how long `--keep` holds up the consumer of a large store.

All events of the store are old. After each batch that is written, a step of them is deleted, as
`dlmon consume` does it.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import psycopg

from benchmarks.growth import Growing
from benchmarks.growth_postgresql import entries, fill
from dlmon.config.urls import StoreAddress
from dlmon.stores import open_store
from dlmon.stores.base import Store
from tests.support.postgres import PostgresServer

_KEEP = timedelta(days=1)
_AGE = "UPDATE dlmon_events SET stored_at = now() - interval '2 days'"


def measure(store: Store, steps: int, batch: int) -> tuple[list[float], int]:
    """The seconds of each step, and how many events they deleted."""
    taken: list[float] = []
    deleted = 0
    for number in range(steps):
        store.write([*entries(number * batch, batch, ascending=False)])
        started = time.perf_counter()
        deleted += store.trim()
        taken.append(time.perf_counter() - started)
    return taken, deleted


@contextmanager
def _sqlite(size: int) -> Iterator[StoreAddress]:
    with tempfile.TemporaryDirectory(prefix="dlmon-trimming-") as folder:
        path = Path(folder) / "events.db"
        Growing(path, 4).fill(size)
        yield StoreAddress(f"sqlite:///{path}")


@contextmanager
def _postgresql(size: int) -> Iterator[StoreAddress]:
    server = PostgresServer(durable=True)
    server.start()
    try:
        address = StoreAddress(server.url)
        open_store(address).close()
        with psycopg.connect(server.url, autocommit=True) as connection:
            fill(connection, 0, size, ascending=False)
            connection.execute(_AGE)
            connection.execute("VACUUM ANALYZE dlmon_events")
            connection.execute("CHECKPOINT")
        yield address
    finally:
        server.remove()


_PLACES = {"SQLite": _sqlite, "PostgreSQL": _postgresql}


def main() -> None:
    """Print a row for each store."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trimming", description=__doc__)
    parser.add_argument("--stores", nargs="+", choices=_PLACES, default=[*_PLACES])
    parser.add_argument("--size", type=int, default=1_000_000, help="events in the store")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch", type=int, default=500, help="events written before each step")
    options = parser.parse_args()
    print("| store | events | deleted | median | 99% | longest |\n|---|--:|--:|--:|--:|--:|")
    for name in options.stores:
        with (
            _PLACES[name](options.size) as address,
            open_store(address, _KEEP, confirm_keep=True) as store,
        ):
            taken, deleted = measure(store, options.steps, options.batch)
        late = statistics.quantiles(taken, n=100)[98]
        figures = " | ".join(
            f"{seconds * 1000:.0f} ms" for seconds in (statistics.median(taken), late, max(taken))
        )
        print(f"| {name} | {options.size:,} | {deleted:,} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
