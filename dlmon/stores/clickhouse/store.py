"""Events in a table of ClickHouse, over its HTTP interface.

ClickHouse has no unique keys. A batch that is inserted again, byte for byte, is recognised by its
token; other repetitions of an event collapse when the server merges, or at once with `FINAL`. The
body is part of the sorting key, so that of two events with one id neither replaces the other.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, DataError, Error

from dlmon.config.urls import StoreAddress
from dlmon.errors import EventsRefused, SettingsError, StoreUnavailable
from dlmon.stores.base import Entry, Store, WriteResult
from dlmon.stores.columns import to_rows, to_utc
from dlmon.stores.passwords import read_password

_Connect: TypeAlias = Callable[..., Client]

TABLE = "dlmon_events"

_COLUMNS = {
    "event_id": "String",
    "timestamp": "DateTime64(6, 'UTC')",
    "latitude": "Float64",
    "longitude": "Float64",
    "file_size": "Int64",
    "download_speed": "Float64",
    "body": "String",
}

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

_FIND_COLUMNS = (
    "SELECT name, type FROM system.columns "
    "WHERE database = currentDatabase() AND table = 'dlmon_events'"
)
_PROBE = (
    "INSERT INTO dlmon_events (event_id, timestamp, latitude, longitude, file_size, "
    "download_speed, body) SELECT '', now64(6, 'UTC'), 0, 0, 0, 0, '' FROM numbers(1) WHERE 0"
)

# An insert answers when the server has the events, not when it has queued them.
_SETTINGS = {"async_insert": 0}
_TIMEOUT = 30  # seconds
_CONNECT_TIMEOUT = 5  # seconds

# What DateTime64 can hold; of other times, the server would keep another one without an error.
_FIRST = datetime(1900, 1, 1, tzinfo=UTC)
_END = datetime(2300, 1, 1, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Codes of the server's errors (src/Common/ErrorCodes.cpp) that can be about a row: of types and
# ranges, of a constraint, and of what a materialized view computes or throws.
_ABOUT_ROWS = frozenset({6, 27, 38, 41, 43, 53, 69, 70, 72, 117, 153, 321, 349, 395, 407, 469})
_ACCESS_DENIED = 497

_OPTIONS = {"secure", "ca_cert"}


class ClickhouseStore(Store):
    """Stores an event at least once; the server drops repetitions when it merges."""

    exactly_once = False

    def __init__(
        self, address: StoreAddress, *, connect: _Connect = clickhouse_connect.get_client
    ) -> None:
        """Connect, and create the table where it is missing.

        connect: makes a client of the URL's parts, as `clickhouse_connect.get_client` does.

        Raises: SettingsError when the URL is none, StoreUnavailable.
        """
        self._address = address
        self._parameters = _parameters(address)
        self._connect = connect
        self._client: Client | None = None
        self.probe()

    def probe(self) -> None:
        with self._connected() as client:
            client.command(_PROBE, settings=_SETTINGS)

    def write(self, entries: Sequence[Entry]) -> WriteResult:
        fitting, rows, refused = to_rows(entries, _to_microseconds)
        if rows:
            token = hashlib.sha256()
            for row in rows:
                token.update(hashlib.sha256(row.body.encode()).digest())
            with self._connected(refusable=True) as client:
                client.insert(
                    TABLE,
                    [list(column) for column in zip(*rows, strict=True)],
                    column_names=list(_COLUMNS),
                    column_type_names=list(_COLUMNS.values()),
                    column_oriented=True,
                    settings={**_SETTINGS, "insert_deduplication_token": token.hexdigest()},
                )
        return WriteResult(stored=fitting, refused=refused)

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    @contextmanager
    def _connected(self, *, refusable: bool = False) -> Iterator[Client]:
        """Raises: EventsRefused, where it is `refusable`, for an error that may be about the rows.
        StoreUnavailable for every other error.
        """
        try:
            yield self._client or self._open()
        except ClickHouseError as error:
            if refusable and _is_about_rows(error):
                raise EventsRefused(f"the store refuses it: {_reason(error)}") from error
            self.close()
            raise self._unavailable(_reason(error)) from error

    def _open(self) -> Client:
        parameters = dict(self._parameters)
        password = read_password(self._address)
        if password is not None:
            parameters["password"] = password
        client = self._connect(
            **parameters,
            connect_timeout=_CONNECT_TIMEOUT,
            send_receive_timeout=_TIMEOUT,
            autogenerate_session_id=False,  # a session admits one statement at a time
        )
        try:
            self._prepare(client)
        except BaseException:
            client.close()
            raise
        self._client = client
        return client

    def _prepare(self, client: Client) -> None:
        found = _columns(client)
        if not found:
            try:
                client.command(CREATE)
            except Error as error:
                if error.code != _ACCESS_DENIED:
                    raise
                sql = re.sub(r"\s+", " ", re.sub("--.*", "", CREATE)).strip()
                raise self._unavailable(
                    f"{_reason(error)}, and the table {TABLE} is to be created; have it created "
                    f"once by a user who may, and grant INSERT on it. Its SQL: {sql}"
                ) from error
            found = _columns(client)
        missing = [f"{name} {kind}" for name, kind in _COLUMNS.items() if found.get(name) != kind]
        if missing:
            raise self._unavailable(
                f"its table {TABLE} is not the one of dlmon: it lacks {', '.join(missing)}"
            )

    def _unavailable(self, reason: str) -> StoreUnavailable:
        return StoreUnavailable(f"The store {self._address} cannot be used: {reason}.")


def _columns(client: Client) -> dict[str, str]:
    """The columns of the table and the type of each; none where it is missing."""
    rows: Iterable[tuple[str, str]] = map(tuple, client.query(_FIND_COLUMNS).result_rows)
    return dict(rows)


def _parameters(address: StoreAddress) -> dict[str, Any]:
    """What a client is made of. Raises: SettingsError, which quotes no part of the URL."""
    parts = urlsplit(address.url)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    database = unquote(parts.path.removeprefix("/"))
    if not parts.hostname or not database or "/" in database or not options.keys() <= _OPTIONS:
        raise SettingsError(
            f"The URL of the store {address} should be "
            "clickhouse://USER:PASSWORD@HOST:PORT/DATABASE, with clickhouses:// or ?secure=1 for "
            "TLS, and ?ca_cert=FILE for an authority of your own."
        )
    secure = parts.scheme == "clickhouses" or options.get("secure") in {"", "1", "true"}
    return {
        "host": parts.hostname,
        "port": parts.port or (8443 if secure else 8123),
        "username": unquote(parts.username or "default"),
        "password": unquote(parts.password or ""),
        "database": database,
        "secure": secure,
        **({"ca_cert": options["ca_cert"]} if "ca_cert" in options else {}),
    }


def _to_microseconds(value: Any) -> int:
    """The time of an event in microseconds since the epoch, which DateTime64(6) holds.

    Raises: ValueError.
    """
    moment = to_utc(value)
    if not _FIRST <= moment < _END:
        raise ValueError("ClickHouse has only the years 1900 to 2299")
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _is_about_rows(error: ClickHouseError) -> bool:
    """Whether the server may have refused a row. The client raises DataError for some."""
    if isinstance(error, Error) and error.code is not None:
        return error.code in _ABOUT_ROWS
    return isinstance(error, DataError)


def _reason(error: ClickHouseError) -> str:
    """The server's message in one line and without the data, which it may quote after a colon."""
    text = " ".join(str(error).split())
    match = re.search(r"DB::(?:Net)?Exception: (.+?)(?:\.? \([A-Z_]+\)| \(for url|$)", text)
    return (match[1] if match else text).rstrip(".")[:500]
