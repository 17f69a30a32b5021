"""Events in a table of ClickHouse, over its HTTP interface.

ClickHouse has no unique keys. A batch that is inserted again, byte for byte, is recognised by its
token; other repetitions of an event collapse when the server merges, or at once with `FINAL`. The
body is part of the sorting key, so that of two events with one id neither replaces the other.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error

from dlmon.config.urls import StoreAddress
from dlmon.stores.base import Entry, Store, WriteResult
from dlmon.stores.clickhouse.database import (
    COLUMNS,
    FIRST_TIME,
    TABLE,
    TIME_END,
    Connect,
    Database,
    columns_of,
    reason_of,
)
from dlmon.stores.columns import to_rows, to_utc

CREATE = """
CREATE TABLE IF NOT EXISTS dlmon_events (
    event_id String,                    -- in lower case
    timestamp DateTime64(6, 'UTC'),
    latitude Float64,                   -- degrees, WGS 84
    longitude Float64,                  -- degrees, WGS 84
    file_size Int64,                    -- bytes
    download_speed Float64,             -- megabits per second
    body String CODEC(ZSTD),            -- byte for byte
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
) ENGINE = ReplacingMergeTree
PRIMARY KEY (timestamp, event_id)
ORDER BY (timestamp, event_id, cityHash64(body))
SETTINGS non_replicated_deduplication_window = 1000, fsync_after_insert = 1,
    fsync_part_directory = 1
"""
"""Without `fsync`, what was acknowledged could be lost with the power."""

_PROBE = (
    "INSERT INTO dlmon_events (event_id, timestamp, latitude, longitude, file_size, "
    "download_speed, body) SELECT '', now64(6, 'UTC'), 0, 0, 0, 0, '' FROM numbers(1) WHERE 0"
)

# An insert answers when the server has the events, not when it has queued them.
_SETTINGS = {"async_insert": 0}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_ACCESS_DENIED = 497


class ClickhouseStore(Store):
    """Stores an event at least once; the server drops repetitions when it merges."""

    exactly_once = False
    has_columns = True

    def __init__(
        self, address: StoreAddress, *, connect: Connect = clickhouse_connect.get_client
    ) -> None:
        """Connect, and create the table where it is missing.

        Raises: SettingsError when the URL, or a variable for proxies or TLS, cannot be used.
        StoreUnavailable.
        """
        self._database = Database(address, self._prepare, connect)
        self.probe()

    def probe(self) -> None:
        with self._database.connected() as client:
            client.command(_PROBE, settings=_SETTINGS)

    def write(self, entries: Sequence[Entry]) -> WriteResult:
        fitting, rows, refused = to_rows(entries, _to_microseconds)
        if rows:
            token = hashlib.sha256()
            for row in rows:
                token.update(hashlib.sha256(row.body.encode()).digest())
            with self._database.connected(refusable=True) as client:
                client.insert(
                    TABLE,
                    [list(column) for column in zip(*rows, strict=True)],
                    column_names=list(COLUMNS),
                    column_type_names=list(COLUMNS.values()),
                    column_oriented=True,
                    settings={**_SETTINGS, "insert_deduplication_token": token.hexdigest()},
                )
        return WriteResult(stored=fitting, refused=refused)

    def close(self) -> None:
        self._database.close()

    def _prepare(self, client: Client) -> None:
        found = columns_of(client)
        if not found:
            try:
                client.command(CREATE)
            except Error as error:
                if error.code != _ACCESS_DENIED:
                    raise
                sql = re.sub(r"\s+", " ", re.sub("--.*", "", CREATE)).strip()
                raise self._database.unavailable(
                    f"{reason_of(error)}, and the table {TABLE} is to be created; have it created "
                    f"once by a user who may, and grant INSERT on it. Its SQL: {sql}"
                ) from error
            found = columns_of(client)
        self._database.check_columns(found)


def _to_microseconds(value: Any) -> int:
    """The time of an event in microseconds since the epoch, which DateTime64(6) holds.

    Raises: ValueError.
    """
    moment = to_utc(value)
    if not FIRST_TIME <= moment < TIME_END:
        raise ValueError("ClickHouse has only the years 1900 to 2299")
    return (moment - _EPOCH) // timedelta(microseconds=1)
