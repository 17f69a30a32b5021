"""Where valid events end up, chosen by URL."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from dlmon.addresses import StoreAddress, sqlite_path
from dlmon.errors import SettingsError
from dlmon.stores.base import Store


def open_store(address: StoreAddress, keep: timedelta | None = None) -> Store:
    """Open the store that a URL names: `sqlite:///PATH`, `ndjson:PATH` or `stdout`.

    keep: how long a store that can delete events keeps each; None: for ever.

    Raises: SettingsError for another URL, or for `keep` where nothing can be deleted;
    StoreUnavailable when it cannot be opened.
    """
    scheme, _, rest = address.url.partition(":")
    if scheme == "sqlite":
        from dlmon.stores.sqlite import SqliteStore

        return SqliteStore(sqlite_path(address.url), keep)
    if keep is not None:
        raise SettingsError("keep is for SQLite: other stores cannot delete events.")
    if scheme == "ndjson" and rest:
        from dlmon.stores.ndjson import NdjsonStore

        return NdjsonStore(Path(rest).expanduser())
    if address.url == "stdout":
        from dlmon.stores.ndjson import StdoutStore

        return StdoutStore()
    raise SettingsError(
        f"The store must be sqlite:///PATH, ndjson:PATH or stdout; {scheme!r} is none of them."
    )
