"""How a SQLite store is laid out: its tables, and how ids and times stand in them.

The table `stored_events` has a row for each event, numbered in the order of storing. Ids are 16
bytes where they are UUIDs, times are integers. The view `events` shows both as text, for queries by
hand, and the time as the number that is indexed, too. An event that is deleted through the view is
forgotten as a whole. `dlmon.stores.sqlite_ids` has the tables of ids.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID

from dlmon.runtime.sqlite_files import FileFormat
from dlmon.stores import sqlite_ids
from dlmon.stores.columns import to_utc

APPLICATION_ID = 0x646C6D65
"""`PRAGMA application_id` of a store: the letters "dlme"."""

SCHEMA_VERSION = 2
"""`PRAGMA user_version` of a store. A newer dlmon writes a higher one."""

FORMAT = FileFormat("a store", APPLICATION_ID, SCHEMA_VERSION)

Key: TypeAlias = bytes | str
"""An id in a column: 16 bytes for a UUID, otherwise its text."""

LAST_ROW = """
    SELECT max(
        (SELECT coalesce(max(row), 0) FROM stored_events),
        coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'stored_events'), 0))"""
"""Selects the highest number that a row has, or had before it was deleted; 0 in an empty store."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UUID_LENGTH = 36
_DAY = 86_400_000_000  # microseconds
_SECOND = 1_000_000


def _time_as_text(column: str) -> str:
    """SQL for a time such as 2026-03-01T12:00:00.000000Z, which sorts by time."""
    fraction = f"(({column} % {_SECOND} + {_SECOND}) % {_SECOND})"  # also before 1970
    return (
        f"(strftime('%Y-%m-%dT%H:%M:%S', ({column} - {fraction}) / {_SECOND}, 'unixepoch') || "
        f"printf('.%06dZ', {fraction}))"
    )


def _id_as_text(column: str) -> str:
    parts = ((1, 4), (5, 2), (7, 2), (9, 2), (11, 6))
    digits = " || '-' || ".join(f"hex(substr({column}, {at}, {length}))" for at, length in parts)
    return f"CASE typeof({column}) WHEN 'blob' THEN lower({digits}) ELSE {column} END"


TABLES = (
    # AUTOINCREMENT: the number of a deleted row is not given to another one.
    """
    CREATE TABLE stored_events (
        row            INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order of storing
        event_id       ANY NOT NULL,      -- 16 bytes for a UUID, otherwise text in lower case
        timestamp      INTEGER NOT NULL,  -- microseconds since 1970, UTC
        latitude       REAL NOT NULL,     -- degrees, WGS 84
        longitude      REAL NOT NULL,     -- degrees, WGS 84
        file_size      INTEGER NOT NULL,  -- bytes
        download_speed REAL NOT NULL,     -- megabits per second
        body           TEXT NOT NULL,     -- the event as it came, byte for byte
        stored_at      INTEGER NOT NULL   -- microseconds since 1970, UTC
    ) STRICT""",
    *sqlite_ids.TABLES,
    "CREATE TABLE store_identity (identity TEXT NOT NULL) STRICT",
)
# Of numbers: an index of the text that the view shows would take a quarter of the time of a batch.
_INDEX_BY_TIME = "CREATE INDEX events_by_time ON stored_events (timestamp)"
_VIEW = (
    f"""
    CREATE VIEW events AS SELECT
        {_id_as_text("event_id")} AS event_id, {_time_as_text("timestamp")} AS timestamp,
        latitude, longitude, file_size, download_speed, body,
        {_time_as_text("stored_at")} AS stored_at, timestamp AS at, row AS rowid
    FROM stored_events""",
    f"""
    CREATE TRIGGER events_deleted INSTEAD OF DELETE ON events BEGIN
        {sqlite_ids.FORGET_OLD_ROWID}
        DELETE FROM stored_events WHERE row = old.rowid;
    END""",
)


def create_tables(connection: sqlite3.Connection) -> None:
    """Make the tables of a store, inside a transaction, and give it an identity."""
    for statement in TABLES:
        connection.execute(statement)
    connection.execute("INSERT INTO store_identity VALUES (?)", (secrets.token_hex(16),))


def finish(connection: sqlite3.Connection) -> None:
    """Make what the tables of a store are used by, and mark the file as a store of this version."""
    for statement in (_INDEX_BY_TIME, *_VIEW):
        connection.execute(statement)
    mark(connection)


def mark(connection: sqlite3.Connection) -> None:
    """Write the version of the store into the file."""
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def to_key(event_id: str) -> Key:
    """The id in a column. event_id: in lower case."""
    if (
        len(event_id) == _UUID_LENGTH
        and event_id[8] == event_id[13] == event_id[18] == event_id[23] == "-"
    ):
        try:
            key = bytes.fromhex(event_id.replace("-", ""))
        except ValueError:
            return event_id
        if len(key) == 16:
            return key
    return event_id


def to_keys(event_ids: Sequence[str]) -> list[Key]:
    """The ids in a column, as `to_key` gives them."""
    # All at once where all are UUIDs, in a sixth of the time.
    digits = "".join(event_ids)
    count = len(event_ids)
    if (
        len(digits) == count * _UUID_LENGTH
        and {*map(len, event_ids)} == {_UUID_LENGTH}
        and all(digits[at::_UUID_LENGTH] == "-" * count for at in (8, 13, 18, 23))
    ):
        try:
            keys = bytes.fromhex(digits.replace("-", ""))
        except ValueError:
            return [*map(to_key, event_ids)]
        if len(keys) == count * 16:
            return [keys[at : at + 16] for at in range(0, len(keys), 16)]
    return [*map(to_key, event_ids)]


def key_to_text(key: Key) -> str:
    """The id that is in a column."""
    return str(UUID(bytes=key)) if isinstance(key, bytes) else key


def begins_with_time(key: Key) -> bool:
    """Whether later ids of this kind sort behind earlier ones: UUIDs of version 6 and 7."""
    return isinstance(key, bytes) and key[6] >> 4 in {6, 7}


def to_micros(given: Any) -> int:
    """The time of an event in a column.

    Raises: ValueError.
    """
    since = to_utc(given) - _EPOCH
    return since.days * _DAY + since.seconds * _SECOND + since.microseconds


def epoch_to_micros(at: float) -> int:
    """A time in seconds since the epoch, in a column."""
    return round(at * _SECOND)


def micros_to_text(at: int) -> str:
    """A time as the view shows it. at: in a column."""
    moment = _EPOCH + timedelta(microseconds=at)
    return f"{moment.isoformat(timespec='microseconds')[:26]}Z"
