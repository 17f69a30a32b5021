"""Where valid events end up, chosen by URL."""

from __future__ import annotations

from pathlib import Path

from dlmon.addresses import sqlite_path
from dlmon.errors import SettingsError
from dlmon.stores.base import Store


def open_store(url: str) -> Store:
    """Open the store that a URL names: `sqlite:///PATH`, `ndjson:PATH` or `stdout`.

    Raises: SettingsError for another URL, StoreUnavailable when it cannot be opened.
    """
    if url.startswith("sqlite:"):
        from dlmon.stores.sqlite import SqliteStore

        return SqliteStore(sqlite_path(url))
    if url.startswith("ndjson:") and url != "ndjson:":
        from dlmon.stores.ndjson import NdjsonStore

        return NdjsonStore(Path(url.removeprefix("ndjson:")).expanduser())
    if url == "stdout":
        from dlmon.stores.ndjson import StdoutStore

        return StdoutStore()
    raise SettingsError(
        "The store must be sqlite:///PATH, ndjson:PATH or stdout; "
        f"{url.partition(':')[0]!r} is none of them."
    )
