"""Where valid events end up, chosen by URL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from dlmon.config.urls import StoreAddress
from dlmon.errors import SettingsError, UsageError
from dlmon.runtime.stop import Stop
from dlmon.stores.base import Store
from dlmon.stores.reading import SqlReader, StoreReader


def open_store(
    address: StoreAddress,
    keep: timedelta | None = None,
    *,
    confirm_keep: bool = False,
    started: float | None = None,
    stop: Stop | None = None,
) -> Store:
    """Open the store that a URL names: `sqlite:///PATH`, `postgresql://HOST/DATABASE`,
    `clickhouse://HOST/DATABASE`, `https://HOST/PATH`, `ndjson:PATH` or `stdout`.

    keep, confirm_keep, started: see `dlmon.stores.retention.Retention`. stop: ends what can take
    long, bringing an old SQLite file up to date.

    Raises: SettingsError for another URL, or for `keep` where nothing can be deleted; UsageError
    when a library is missing; StoreUnavailable when it cannot be opened; Interrupted.
    """
    scheme = address.url.partition(":")[0]
    if scheme == "sqlite":
        from dlmon.stores.sqlite import SqliteStore

        return SqliteStore(
            address.path, keep, confirm_keep=confirm_keep, started=started, stop=stop
        )
    if scheme in ("postgresql", "postgres"):
        with _requires_extra("postgres"):
            from dlmon.stores.postgresql import PostgresqlStore

        return PostgresqlStore(address, keep, confirm_keep=confirm_keep, started=started)
    if keep is not None:
        raise SettingsError("keep is for SQLite and PostgreSQL: other stores cannot delete events.")
    if scheme in ("clickhouse", "clickhouses"):
        with _requires_extra("clickhouse"):
            from dlmon.stores.clickhouse import ClickhouseStore

        return ClickhouseStore(address)
    if scheme in ("https", "http"):
        with _requires_extra("webhook"):
            from dlmon.stores.webhook import WebhookStore

        return WebhookStore(address)
    if scheme == "ndjson":
        from dlmon.stores.ndjson import NdjsonStore

        return NdjsonStore(address.path)
    if address.url == "stdout":
        from dlmon.stores.ndjson import StdoutStore

        return StdoutStore()
    raise SettingsError(
        "The store must be sqlite:///PATH, postgresql://HOST/DATABASE, clickhouse://HOST/DATABASE, "
        f"https://HOST/PATH, ndjson:PATH or stdout; {scheme!r} is none of them."
    )


def open_event_reader(address: StoreAddress) -> StoreReader | SqlReader:
    """Open a store to ask what it has: as `open_reader`, or `clickhouse://HOST/DATABASE`.

    Raises: as `open_reader`.
    """
    if address.url.partition(":")[0] in ("clickhouse", "clickhouses"):
        with _requires_extra("clickhouse"):
            from dlmon.stores.clickhouse import ClickhouseReader

        return ClickhouseReader(address)
    return open_reader(address)


def open_reader(address: StoreAddress) -> StoreReader:
    """Open a store to follow what it has: `sqlite:///PATH` or `postgresql://HOST/DATABASE`.

    Raises: SettingsError for another URL; UsageError when a library is missing; StoreUnavailable
    when it cannot be opened.
    """
    scheme = address.url.partition(":")[0]
    if scheme == "sqlite":
        from dlmon.stores.sqlite_reader import SqliteReader

        return SqliteReader(address.path)
    if scheme in ("postgresql", "postgres"):
        with _requires_extra("postgres"):
            from dlmon.stores.postgresql import PostgresqlReader

        return PostgresqlReader(address)
    raise SettingsError(
        "Events can be read from SQLite and PostgreSQL: --store sqlite:///PATH or "
        "--store postgresql://HOST/DATABASE. `dlmon report` reads ClickHouse, too."
    )


@contextmanager
def _requires_extra(extra: str) -> Iterator[None]:
    """Raises: UsageError when the libraries of an extra are not installed."""
    try:
        yield
    except ImportError as error:
        raise UsageError(
            f"This store needs a library that is not installed: pip install 'dlmon[{extra}]'"
        ) from error
