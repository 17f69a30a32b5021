"""What has arrived at a local broker, seen from behind."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from dlmon.messages import PUBLISHED_AT

Arrived = Callable[[], list[tuple[str, bytes, int]]]
"""Id, body and time of publishing (ms) of everything in arrivals, in order."""


def arrived_at(path: Path, namespace: str) -> list[tuple[str, bytes, int]]:
    """As `Arrived`, at the broker of this file, which need not be there yet."""
    if not path.exists():
        return []
    with closing(sqlite3.connect(path)) as database:
        try:
            rows = database.execute(
                "SELECT message_id, body, headers FROM message WHERE queue = ? ORDER BY id",
                [f"{namespace}.arrivals"],
            ).fetchall()
        except sqlite3.OperationalError:  # the table is not there yet
            return []
    return [(one, body, json.loads(headers)[PUBLISHED_AT]) for one, body, headers in rows]
