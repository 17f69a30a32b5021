"""Reading events from ClickHouse, and having it count them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import clickhouse_connect
from clickhouse_connect.driver.client import Client

from dlmon.config.urls import StoreAddress
from dlmon.stores.clickhouse.database import (
    FIRST_TIME,
    TABLE,
    TIME_END,
    Connect,
    Database,
    columns_of,
)
from dlmon.stores.reading import Sample, SqlReader, StoredEvent

_TIMEOUT = 600  # seconds, of a query

# In milliseconds, rounded down.
_MICROS = "toUnixTimestamp64Micro(timestamp)"
_COLUMNS = (
    f"intDiv({_MICROS} - positiveModulo({_MICROS}, 1000), 1000), "
    "latitude, longitude, file_size, download_speed"
)


class ClickhouseReader(SqlReader):
    """Reads the table of a store, and never writes to it.

    An event that was stored twice is read once; of two with the same id, both.
    """

    def __init__(
        self, address: StoreAddress, *, connect: Connect = clickhouse_connect.get_client
    ) -> None:
        """Connect to a database that has the table.

        Raises: SettingsError when the URL is none, StoreUnavailable.
        """
        self._database = Database(address, self._prepare, connect, timeout=_TIMEOUT)
        with self._database.connected():
            pass

    def read_between(self, start: int, end: int, limit: int) -> Iterator[list[Sample]]:
        for rows in self._blocks(f"SELECT {_COLUMNS} {self.events(start, end)}", limit):
            yield [Sample._make(row) for row in rows]

    def read_events(self, start: int, end: int, limit: int) -> Iterator[list[StoredEvent]]:
        query = f"SELECT {_COLUMNS}, event_id, body {self.events(start, end)}"
        for rows in self._blocks(query, limit):
            yield [
                StoredEvent(Sample(*sample), event_id, body.encode())
                for *sample, event_id, body in rows
            ]

    def events(self, start: int, end: int) -> str:
        first, last = (round(at.timestamp() * 1000) for at in (FIRST_TIME, TIME_END))
        start, end = (min(max(at, first), last) for at in (start, end))
        return (
            f"FROM {TABLE} FINAL WHERE timestamp >= fromUnixTimestamp64Milli({start:d}, 'UTC') "
            f"AND timestamp < fromUnixTimestamp64Milli({end:d}, 'UTC')"
        )

    def select(self, query: str) -> Iterator[Sequence[Any]]:
        with self._database.connected() as client, client.query_rows_stream(query) as rows:
            yield from rows

    def close(self) -> None:
        self._database.close()

    def _blocks(self, query: str, limit: int) -> Iterator[Sequence[Sequence[Any]]]:
        """The rows of a query, up to `limit` at a time."""
        with self._database.connected() as client, client.query_row_block_stream(query) as blocks:
            for block in blocks:
                for start in range(0, len(block), limit):
                    yield block[start : start + limit]

    def _prepare(self, client: Client) -> None:
        found = columns_of(client)
        if not found:
            raise self._database.unavailable(
                f"it has no table {TABLE} that this user may read: `dlmon consume` creates it, "
                "and reading needs SELECT on it"
            )
        self._database.check_columns(found)
