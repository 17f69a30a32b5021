"""Bringing a SQLite store of dlmon 0.1.0 up to date, whole or not at all.

It is one transaction in the same file: a kill leaves the old store, readers read it meanwhile, and
links, owner and permissions of the file stay. A new file in its place would lose what a consumer of
the old version writes meanwhile, and have a write-ahead log of another file beside it.
"""

from __future__ import annotations

import logging
import shutil
import sqlite3
import time
from pathlib import Path

from dlmon.errors import Interrupted, StoreUnavailable
from dlmon.runtime.sqlite_files import primary_code
from dlmon.runtime.stop import Stop
from dlmon.stores import sqlite_ids as ids
from dlmon.stores import sqlite_layout as layout

VERSION = 1
"""`PRAGMA user_version` of a store of dlmon 0.1.0."""

_COLUMNS = (
    "event_id",
    "timestamp",
    "latitude",
    "longitude",
    "file_size",
    "download_speed",
    "body",
    "stored_at",
)
_OWN_INDEXES = ("events_by_time", "events_by_age")
_KEPT = "events_before_upgrade"
_CHUNK = 20_000  # rows, some 6 MB
_LOG_INTERVAL = 3.0  # seconds
_STEPS = 100_000  # of SQLite, between two looks at the stop: some milliseconds

_SPACE = 1.4  # of the size of the old file: the new tables are in the log first, then in the file


def _micros(column: str) -> str:
    """SQL for the number of a time such as 2026-03-01T12:00:00.000000Z."""
    return (
        f"CAST(strftime('%s', substr({column}, 1, 19)) AS INTEGER) * 1000000 + "
        f"CAST(substr({column}, 21, 6) AS INTEGER)"
    )


_COPY = f"""
    INSERT INTO stored_events ({", ".join(_COLUMNS)})
    SELECT to_key(event_id), {_micros("timestamp")}, latitude, longitude, file_size,
        download_speed, body, {_micros("stored_at")}
    FROM events WHERE rowid > ? AND rowid <= ? ORDER BY rowid"""
_END_OF_CHUNK = """
    SELECT max(rowid), count(*) FROM (
        SELECT rowid FROM events WHERE rowid > ? ORDER BY rowid LIMIT ?)"""
_FOREIGN = f"""
    SELECT type || ' ' || name FROM sqlite_master WHERE tbl_name = 'events' AND (
        type = 'trigger' OR type = 'index' AND sql IS NOT NULL AND name NOT IN {_OWN_INDEXES})
    UNION ALL
    SELECT 'column ' || name FROM pragma_table_xinfo('events') WHERE name NOT IN {_COLUMNS}"""

_log = logging.getLogger(__name__)


def upgrade(connection: sqlite3.Connection, path: Path, stop: Stop) -> None:
    """Bring the store up to date inside a transaction, which holds the lock of writers.

    The old table stays, under another name, if it has triggers, indexes or columns of its owner.

    Raises: StoreUnavailable when there is not enough space; Interrupted; sqlite3.Error.
    """
    connection.set_progress_handler(lambda: stop.requested, _STEPS)
    try:
        _upgrade(connection, path)
    except sqlite3.OperationalError as error:
        if primary_code(error) != sqlite3.SQLITE_INTERRUPT:
            raise
        raise Interrupted(
            f"Stopped before the store {path} was up to date: it is as it was, and the next start "
            "brings it up to date."
        ) from error
    finally:
        connection.set_progress_handler(None, 0)


def _upgrade(connection: sqlite3.Connection, path: Path) -> None:
    execute = connection.execute
    _check_space(path)
    foreign = [name for (name,) in execute(_FOREIGN)]
    _log.info("Bringing the store %s up to date. A kill leaves it as it is.", path)
    for name in _OWN_INDEXES:
        execute(f"DROP INDEX IF EXISTS {name}")
    layout.create_tables(connection)
    copied = _copy(connection)
    _log.info("Sorting the ids of %s events.", f"{copied:,}")
    execute(ids.FILL)
    if foreign:
        execute("PRAGMA legacy_alter_table = ON")  # views go on selecting from events
        execute(f"ALTER TABLE events RENAME TO {_KEPT}")
        execute("PRAGMA legacy_alter_table = OFF")
        _log.warning(
            "The old table is now %s, because it has what dlmon did not make: %s. Make it again "
            "for the table stored_events where you need it, and drop the old one.",
            _KEPT,
            ", ".join(foreign),
        )
    else:
        execute("DROP TABLE events")
    layout.finish(connection)
    _log.info("The store is up to date: %s events.", f"{copied:,}")


def _copy(connection: sqlite3.Connection) -> int:
    """Copy all events in their order, and return how many there are."""
    connection.create_function("to_key", 1, layout.to_key, deterministic=True)
    (total,) = connection.execute("SELECT count(*) FROM events").fetchone()
    copied, last = 0, -(2**63)
    log_at = time.monotonic() + _LOG_INTERVAL
    while True:
        end, count = connection.execute(_END_OF_CHUNK, (last, _CHUNK)).fetchone()
        if not count:
            return copied
        connection.execute(_COPY, (last, end))
        copied, last = copied + count, end
        if time.monotonic() >= log_at:
            log_at = time.monotonic() + _LOG_INTERVAL
            _log.info("Brought up to date: %s of %s events.", f"{copied:,}", f"{total:,}")


def _check_space(path: Path) -> None:
    """Raises: StoreUnavailable."""
    needed = int(path.stat().st_size * _SPACE)
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise StoreUnavailable(
            f"The store {path} was made by dlmon 0.1.0. To bring it up to date, "
            f"{needed / 1e9:,.2f} GB have to be free beside it, and {free / 1e9:,.2f} GB are: free "
            "some space, or choose another path."
        )
