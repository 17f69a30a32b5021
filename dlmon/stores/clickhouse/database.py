"""A connection to a ClickHouse server that is made again after a failure."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, DataError, Error

from dlmon.config.urls import StoreAddress
from dlmon.errors import EventsRefused, SettingsError, StoreUnavailable
from dlmon.stores.clickhouse.connections import open_pool
from dlmon.stores.passwords import read_password

# What they log of failures is in the errors that the client raises. By themselves, they would write
# to stderr.
for _library in ("clickhouse_connect", "urllib3"):
    logging.getLogger(_library).setLevel(logging.CRITICAL + 1)

Connect: TypeAlias = Callable[..., Client]
"""Makes a client of the parts of a URL, as `clickhouse_connect.get_client` does."""

TABLE = "dlmon_events"

COLUMNS = {
    "event_id": "String",
    "timestamp": "DateTime64(6, 'UTC')",
    "latitude": "Float64",
    "longitude": "Float64",
    "file_size": "Int64",
    "download_speed": "Float64",
    "body": "String",
}
"""The columns that dlmon needs, and the type of each."""

# Of other times, the server would keep another one without an error.
FIRST_TIME = datetime(1900, 1, 1, tzinfo=UTC)
"""The first time that DateTime64 can hold."""

TIME_END = datetime(2300, 1, 1, tzinfo=UTC)
"""The first time after those that it can hold."""

_FIND_COLUMNS = (
    "SELECT name, type FROM system.columns "
    "WHERE database = currentDatabase() AND table = 'dlmon_events'"
)
_TIMEOUT = 30  # seconds
_CONNECT_TIMEOUT = 5  # seconds

# Codes of the server's errors (src/Common/ErrorCodes.cpp) that can be about a row: of types and
# ranges, of a constraint, and of what a materialized view computes or throws.
_ABOUT_ROWS = frozenset({6, 27, 38, 41, 43, 53, 69, 70, 72, 117, 153, 321, 349, 395, 407, 469})

_OPTIONS = {"secure", "ca_cert"}


class Database:
    """The database that a URL names. It is connected to when it is needed."""

    def __init__(
        self,
        address: StoreAddress,
        prepare: Callable[[Client], None],
        connect: Connect,
        *,
        timeout: int = _TIMEOUT,
    ) -> None:
        """prepare: is called with every new connection. timeout: seconds, of a statement.

        Raises: SettingsError when the URL is none, or a variable for proxies or TLS cannot be used.
        """
        self._address = address
        self._parameters = _parameters(address)
        authority = self._parameters.pop("ca_cert", None)
        self._pool = open_pool(
            self._parameters["host"],
            self._parameters["port"],
            secure=self._parameters["secure"],
            ca_file=None if authority is None else Path(authority),
            environ=os.environ,
        )
        self._prepare = prepare
        self._connect = connect
        self._timeout = timeout
        self._client: Client | None = None

    @contextmanager
    def connected(self, *, refusable: bool = False) -> Iterator[Client]:
        """Raises: EventsRefused, where it is `refusable`, for an error that may be about the rows.
        StoreUnavailable for every other error.
        """
        try:
            yield self._client or self._open()
        except ClickHouseError as error:
            if refusable and _is_about_rows(error):
                raise EventsRefused(f"the store refuses it: {reason_of(error)}") from error
            self.close()
            raise self.unavailable(reason_of(error)) from error

    def check_columns(self, found: dict[str, str]) -> None:
        """Raises: StoreUnavailable for a table that is not the one of dlmon."""
        missing = [f"{name} {kind}" for name, kind in COLUMNS.items() if found.get(name) != kind]
        if missing:
            raise self.unavailable(
                f"its table {TABLE} is not the one of dlmon: it lacks {', '.join(missing)}"
            )

    def unavailable(self, reason: str) -> StoreUnavailable:
        """The error that says why the store cannot be used."""
        return StoreUnavailable(f"The store {self._address} cannot be used: {reason}.")

    def close(self) -> None:
        """Close the connection; the next use makes another one."""
        if self._client is not None:
            self._client.close()
            self._client = None
        self._pool.clear()

    def _open(self) -> Client:
        parameters = dict(self._parameters)
        password = read_password(self._address)
        if password is not None:
            parameters["password"] = password
        client = self._connect(
            **parameters,
            pool_mgr=self._pool,
            connect_timeout=_CONNECT_TIMEOUT,
            send_receive_timeout=self._timeout,
            autogenerate_session_id=False,  # a session admits one statement at a time
        )
        try:
            self._prepare(client)
        except BaseException:
            client.close()
            raise
        self._client = client
        return client


def columns_of(client: Client) -> dict[str, str]:
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


def _is_about_rows(error: ClickHouseError) -> bool:
    """Whether the server may have refused a row. The client raises DataError for some."""
    if isinstance(error, Error) and error.code is not None:
        return error.code in _ABOUT_ROWS
    return isinstance(error, DataError)


def reason_of(error: ClickHouseError) -> str:
    """The server's message in one line and without the data, which it may quote after a colon."""
    text = " ".join(str(error).split())
    match = re.search(r"DB::(?:Net)?Exception: (.+?)(?:\.? \([A-Z_]+\)| \(for url|$)", text)
    return (match[1] if match else text).rstrip(".")[:500]
