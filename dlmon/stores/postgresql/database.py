"""A connection to the database of a store that is made again after a failure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from dlmon.config.urls import StoreAddress
from dlmon.errors import EventsRefused, SettingsError, StoreUnavailable
from dlmon.stores.passwords import read_password

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

# Connection parameters of libpq unless the URL gives others: in seconds, tcp_user_timeout in ms.
_DEFAULTS = {
    "fallback_application_name": "dlmon",
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
}
_OLDEST_SERVER = 130_000  # of version 13, the first one with xid8

# The beginnings of SQLSTATEs (PostgreSQL manual, appendix A) that pass by themselves: connection,
# rollback, resources, locks, operator, system and internal errors. With any other, the server may
# refuse a row: by a constraint, a policy, or a trigger, which can raise any SQLSTATE.
_PASSING = ("08", "40", "53", "55P03", "57", "58", "XX")


class Database:
    """The database that a URL names. It is connected to when it is needed."""

    def __init__(
        self,
        address: StoreAddress,
        prepare: Callable[[Connection], None],
        *,
        servers: str,
    ) -> None:
        """prepare: is called with every new connection. servers: which one of several hosts is
        used unless the URL says so, as libpq's target_session_attrs.

        Raises: SettingsError when the URL is none.
        """
        self._address = address
        self._prepare = prepare
        self._connection: Connection | None = None
        try:
            given = conninfo_to_dict(address.url)
        except psycopg.Error:
            given = {}
        if not given:
            # Not chained, because libpq's message quotes the URL with its password.
            raise SettingsError(
                f"libpq cannot read the URL of the store {address}: write "
                "postgresql://USER:PASSWORD@HOST:PORT/DATABASE?PARAMETER=VALUE"
            )
        defaults = {**_DEFAULTS, "target_session_attrs": servers}
        self._parameters = {**defaults, **given, "client_encoding": "UTF8"}

    @contextmanager
    def transaction(self, *, refusable: bool = False) -> Iterator[Connection]:
        """Commit at the end of the block, or roll back at an exception.

        Raises: EventsRefused, where it is `refusable`, for an error that may be about the rows.
        StoreUnavailable for every other error.
        """
        try:
            connection = self._connection or self._open()
            with connection.transaction():
                yield connection
        except psycopg.Error as error:
            if refusable and _is_about_rows(error):
                raise EventsRefused(f"the store refuses it: {reason_of(error)}") from error
            self.close()
            raise self.unavailable(reason_of(error)) from error

    def unavailable(self, reason: str) -> StoreUnavailable:
        """The error that says why the store cannot be used."""
        return StoreUnavailable(f"The store {self._address} cannot be used: {reason}.")

    def close(self) -> None:
        """Close the connection; the next transaction makes another one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> Connection:
        parameters = dict(self._parameters)
        password = read_password(self._address)
        if password is not None:
            parameters["password"] = password
        connection = psycopg.connect(
            make_conninfo("", **parameters),
            autocommit=True,
            prepare_threshold=None,  # some poolers mix up the prepared statements of their clients
        )
        try:
            self._check(connection)
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _check(self, connection: Connection) -> None:
        """Raises: StoreUnavailable for a server or a database that cannot hold events."""
        if connection.info.server_version < _OLDEST_SERVER:
            raise self.unavailable("its server is older than PostgreSQL 13: use a newer one")
        if connection.info.parameter_status("server_encoding") != "UTF8":
            raise self.unavailable("its encoding is not UTF8, as JSON needs: create another one")


def reason_of(error: psycopg.Error) -> str:
    """The server's message in one line, without the details, which quote data."""
    text = error.diag.message_primary or str(error)
    return text.partition("\n")[0].removeprefix("connection failed: ").rstrip(".")


def _is_about_rows(error: psycopg.Error) -> bool:
    """Whether the server may have refused a row. psycopg itself raises DataError for some."""
    if error.sqlstate is None:
        return isinstance(error, psycopg.DataError)
    # PL/pgSQL's RAISE can have any SQLSTATE, also one that would pass elsewhere.
    raised = error.diag.source_function == "exec_stmt_raise"
    return raised or not error.sqlstate.startswith(_PASSING)
