"""The engine of a ClickHouse server, which chdb-core runs in this process."""

from __future__ import annotations

from typing import Any

import clickhouse_connect
from clickhouse_connect.driver.client import Client

from dlmon.config.urls import StoreAddress
from dlmon.stores.clickhouse import ClickhouseReader, ClickhouseStore


class Engine:
    """A database of the test's own."""

    def __init__(self, database: str) -> None:
        self.address = StoreAddress(f"clickhouse://localhost/{database}")
        self.client = self.connect(database=database)

    def connect(self, database: str, **_: Any) -> Client:
        return clickhouse_connect.get_client(interface="chdb", database=database)

    def open(self) -> ClickhouseStore:
        return ClickhouseStore(self.address, connect=self.connect)

    def read(self) -> ClickhouseReader:
        return ClickhouseReader(self.address, connect=self.connect)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self.client.query(query).result_rows]

    def bodies(self) -> list[bytes]:
        """As merging would leave them."""
        return [body.encode() for (body,) in self.rows("SELECT body FROM dlmon_events FINAL")]

    def count(self) -> int:
        """Of rows, with their repetitions."""
        ((count,),) = self.rows("SELECT count() FROM dlmon_events")
        return int(count)
