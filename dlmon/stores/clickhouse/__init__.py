"""Events in a table of ClickHouse."""

from __future__ import annotations

from dlmon.stores.clickhouse.reader import ClickhouseReader
from dlmon.stores.clickhouse.store import CREATE, ClickhouseStore

__all__ = ["CREATE", "ClickhouseReader", "ClickhouseStore"]
