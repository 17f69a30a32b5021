"""Which ids a SQLite store has, without an index that each random id changes a page of.

In a large index, no two random ids of a batch are on one page: each event costs the reading and
writing of a page. Ids are therefore collected in small tables before they come into the large one,
as in a log-structured merge tree (O'Neil, Cheng, Gawlick, O'Neil 1996):

    event_ids_new  ->  event_ids_recent  ->  event_ids
      30,000 ids          400,000 ids        all others

Once a table has more ids than that, the batch moves a slice of neighbouring ids to the next one,
where some of them share a page. The next slice begins where the last one ended. Ids that begin with
the time (UUIDv7) are neighbours anyway, at the end of the last table: they go there at once.

An id is in one of the tables as long as its row is there. All of it is in the file and changes in
the transaction that stores the events: it is exact with several consumers, and after a kill.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from functools import lru_cache

_LEVELS = ("event_ids_new", "event_ids_recent", "event_ids")
_LIMITS = (30_000, 400_000)  # ids in the tables before the last one
_SLICE = 2_000  # ids that are moved at least: few statements, and small batches share one
_NEAR_END = 4_000  # ids at the end of the last table, some 30 pages, among which others are added

_BEFORE_ALL = 0  # SQLite sorts numbers before text and bytes

TABLES = (
    *(
        f"CREATE TABLE {name} (event_id ANY PRIMARY KEY, row INTEGER NOT NULL) "
        "STRICT, WITHOUT ROWID"
        for name in _LEVELS
    ),
    """
    CREATE TABLE event_id_levels (
        level    INTEGER PRIMARY KEY,
        ids      INTEGER NOT NULL,  -- in the table, about
        position ANY NOT NULL       -- the last id of the slice that was moved last
    ) STRICT""",
    f"INSERT INTO event_id_levels VALUES (0, 0, {_BEFORE_ALL}), (1, 0, {_BEFORE_ALL})",
)

FORGET_OLD_ROWID = "\n".join(
    f"DELETE FROM {name} WHERE row = old.rowid AND event_id = "
    "(SELECT event_id FROM stored_events WHERE row = old.rowid);"
    for name in _LEVELS
)
"""Statements for a trigger that deletes the row `old.rowid`."""

FILL = f"INSERT INTO {_LEVELS[-1]} SELECT event_id, row FROM stored_events ORDER BY event_id"
"""Adds the ids of all rows, where there are none yet."""

_READ_LEVELS = "SELECT ids, position FROM event_id_levels ORDER BY level"
_WRITE_LEVEL = "UPDATE event_id_levels SET ids = ?, position = ? WHERE level = ?"
_LAST_ID = (
    "SELECT max(event_id) FROM ("
    + " UNION ALL ".join(f"SELECT max(event_id) AS event_id FROM {name}" for name in _LEVELS)
    + ")"
)
_NEAR_END_ID = "SELECT event_id FROM event_ids ORDER BY event_id DESC LIMIT 1 OFFSET ?"


def find(connection: sqlite3.Connection, keys: Collection[bytes | str]) -> dict[bytes | str, int]:
    """Those of these ids that the store has, with the number of the row of each."""
    (last,) = connection.execute(_LAST_ID).fetchone()
    # Ids that begin with the time are nearly always behind all that the store has.
    given = [key for key in keys if _is_up_to(key, last)]
    if not given:
        return {}
    given.sort(key=_order)  # neighbours are on one page
    # Few lengths, since a statement is compiled for each.
    given += given[-1:] * ((1 << (len(given) - 1).bit_length()) - len(given))
    return dict(connection.execute(_finding(len(given)), given).fetchall())


def add(connection: sqlite3.Connection, after: int) -> None:
    """Add the ids of the rows that were stored after a row, which must be new."""
    near_end = connection.execute(_NEAR_END_ID, (_NEAR_END,)).fetchone()
    (edge,) = near_end or (_BEFORE_ALL,)
    _insert(connection, 2, after, ">=", edge)
    arrived = 0 if near_end is None else _insert(connection, 0, after, "<", edge)
    if arrived:
        levels = connection.execute(_READ_LEVELS).fetchall()
        for level, (count, position) in enumerate(levels):
            arrived = _grow(connection, level, count + arrived, position)


def forget(connection: sqlite3.Connection, keys: Sequence[bytes | str]) -> None:
    """Delete these ids."""
    marks = ", ".join("?" * len(keys))
    for level, name in enumerate(_LEVELS):
        deleted = connection.execute(
            f"DELETE FROM {name} WHERE event_id IN ({marks})",
            keys,
        ).rowcount
        connection.execute(
            "UPDATE event_id_levels SET ids = ids - ? WHERE level = ? AND ?",
            (deleted, level, deleted),
        )


def _insert(
    connection: sqlite3.Connection, level: int, after: int, operator: str, first: object
) -> int:
    return connection.execute(
        f"INSERT INTO {_LEVELS[level]} SELECT event_id, row FROM stored_events "
        f"WHERE row > ? AND event_id {operator} ? ORDER BY event_id",
        (after, first),
    ).rowcount


def _grow(connection: sqlite3.Connection, level: int, count: int, position: object) -> int:
    """Note how many ids a table has now, and move a slice of them on if they are too many.

    Returns how many were moved.
    """
    excess = count - _LIMITS[level]
    if excess < _SLICE:
        moved = 0
    else:
        moved, position = _move(connection, level, excess, position)
        count -= moved
        if position == _BEFORE_ALL:  # once a sweep, since rows may be deleted by hand
            (count,) = connection.execute(f"SELECT count(*) FROM {_LEVELS[level]}").fetchone()
    connection.execute(_WRITE_LEVEL, (count, position, level))
    return moved


def _move(
    connection: sqlite3.Connection, level: int, count: int, position: object
) -> tuple[int, object]:
    """Move so many ids behind a position to the next table, or those up to the end.

    Returns how many, and the new position: `_BEFORE_ALL` once the end is reached.
    """
    source, target = _LEVELS[level], _LEVELS[level + 1]
    found = connection.execute(
        f"SELECT event_id FROM {source} WHERE event_id > ? ORDER BY event_id LIMIT 1 OFFSET ?",
        (position, count - 1),
    ).fetchone()
    condition, values = "event_id > ?", [position]
    if found:
        condition += " AND event_id <= ?"
        values += found
    connection.execute(
        f"INSERT INTO {target} SELECT * FROM {source} WHERE {condition}",
        values,
    )
    moved = connection.execute(f"DELETE FROM {source} WHERE {condition}", values).rowcount
    return moved, found[0] if found else _BEFORE_ALL


def _is_up_to(key: bytes | str, last: bytes | str | None) -> bool:
    """Whether SQLite sorts an id before another one, or it is the same: text is before bytes."""
    if isinstance(last, bytes):
        return not isinstance(key, bytes) or key <= last
    return last is not None and isinstance(key, str) and key.encode() <= last.encode()


def _order(key: bytes | str) -> bytes:
    return key if isinstance(key, bytes) else key.encode()


@lru_cache(16)
def _finding(keys: int) -> str:
    marks = ", ".join(["(?)"] * keys)
    # One look into a table that is empty is enough.
    parts = " UNION ALL ".join(
        f"SELECT event_id, row FROM given CROSS JOIN {name} ON event_id = id "
        f"WHERE EXISTS (SELECT 1 FROM {name})"
        for name in _LEVELS
    )
    return f"WITH given (id) AS MATERIALIZED (VALUES {marks}) {parts}"
