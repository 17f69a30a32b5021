"""`python -m benchmarks.growth_postgresql`: the speed of a growing PostgreSQL store, on stdout."""

from __future__ import annotations

import argparse
import time
import uuid
from collections.abc import Iterator, Sequence

import orjson
import psycopg

from dlmon.config.urls import StoreAddress
from dlmon.stores.base import Entry
from dlmon.stores.postgresql import PostgresqlStore
from tests.support.postgres import PostgresServer

_BATCH = 2_000
_START = 1_772_366_400_000  # milliseconds since the epoch
_APART = 10  # milliseconds from one event to the next

_FILL = """
    INSERT INTO dlmon_events (event_id, timestamp, latitude, longitude, file_size, download_speed,
        body, stored_at)
    SELECT id::uuid, at, 51.9, -8.4, 1596500, 12.8, json_build_object('event_id', id,
        'timestamp', to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
        'coordinates', json_build_object('latitude', 51.9, 'longitude', -8.4),
        'file_size', 1596500, 'download_speed', 12.8), now()
    FROM (
        SELECT to_timestamp((%(start)s + %(apart)s * number) / 1000.0) AS at,
            CASE WHEN %(ascending)s THEN
                lpad(to_hex(%(start)s + %(apart)s * number), 12, '0') || '7'
                || substr(replace(gen_random_uuid()::text, '-', ''), 14)
            ELSE gen_random_uuid()::text END AS id
        FROM generate_series(%(first)s::bigint, %(end)s::bigint - 1) AS number) AS event"""


def entries(first: int, count: int, *, ascending: bool) -> Iterator[Entry]:
    """Events with ids of version 7 if they are ascending, else 4."""
    for number in range(first, first + count):
        at = _START + _APART * number
        random = uuid.uuid4().int
        number_of_id = at << 80 | 7 << 76 | random & ((1 << 76) - 1) if ascending else random
        event = {
            "event_id": str(uuid.UUID(int=number_of_id)),
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at // 1000)),
            "coordinates": {"latitude": 51.9, "longitude": -8.4},
            "file_size": 1_596_500,
            "download_speed": 12.8,
        }
        yield Entry(str(event["event_id"]), orjson.dumps(event), event)


def fill(connection: psycopg.Connection, first: int, end: int, *, ascending: bool) -> None:
    """Store the events of these numbers, by SQL. The end is exclusive."""
    values = {"start": _START, "apart": _APART, "ascending": ascending, "first": first, "end": end}
    connection.execute(_FILL, values)


def measure(url: str, sizes: Sequence[int], count: int, *, ascending: bool) -> Iterator[str]:
    """Rows of a table. sizes: events in the store; count: events to write into each."""
    version = 7 if ascending else 4
    present = 0
    with PostgresqlStore(StoreAddress(url)) as store, psycopg.connect(url, autocommit=True) as at:
        for size in sizes:
            if size > present:
                fill(at, present, size, ascending=ascending)
            at.execute("ANALYZE dlmon_events")
            at.execute("CHECKPOINT")
            new = list(entries(max(size, present), count, ascending=ascending))
            started = time.perf_counter()
            for start in range(0, count, _BATCH):
                written = store.write(new[start : start + _BATCH])
                assert len(written.stored) == len(new[start : start + _BATCH])
            rate = count / (time.perf_counter() - started)
            present = max(size, present) + count
            ((volume,),) = at.execute("SELECT pg_total_relation_size('dlmon_events')")
            yield f"| {version} | {size:,} | {rate:,.0f} | {volume / present:.0f} |"
        at.execute("DROP TABLE dlmon_events")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[0, 1_000_000, 3_000_000])
    parser.add_argument("--count", type=int, default=100_000, help="events to write into each")
    arguments = parser.parse_args()
    server = PostgresServer(durable=True)
    server.start()
    try:
        print(
            "| UUID version | events in the store | events/s | bytes an event |\n|--:|--:|--:|--:|"
        )
        for ascending in (True, False):
            rows = measure(server.url, arguments.sizes, arguments.count, ascending=ascending)
            for row in rows:
                print(row, flush=True)
    finally:
        server.remove()


if __name__ == "__main__":
    main()
