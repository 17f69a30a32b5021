"""News of rejects, read from the local broker's file without a lease."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any

from dlmon.brokers.base import TAP_LIMIT, Tap
from dlmon.brokers.local.database import Database, GiveUp
from dlmon.brokers.local.lease import COLUMNS, to_delivery
from dlmon.config.names import Names
from dlmon.messages import Delivery, Queue

_LAST_ID = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'message'"
_PARKED = f"""
    SELECT {COLUMNS} FROM message WHERE id > :after AND id <= :last AND queue = :queue
    ORDER BY id DESC LIMIT :limit"""  # noqa: S608  (a constant)
# A message that is dead-lettered keeps its id.
_DEAD_LETTERED = f"""
    SELECT {COLUMNS} FROM message WHERE dead_at >= :since AND queue = :queue
    ORDER BY dead_at DESC LIMIT :limit"""  # noqa: S608  (a constant)


class LocalTap(Tap):
    """Sees what is still in the queue when it is read."""

    def __init__(self, path: Path, names: Names, give_up: GiveUp) -> None:
        """Raises: BrokerUnreachable."""
        self._names = names
        self._give_up = give_up
        self._database = Database(path)
        self._last = self._last_id()
        self._dead_at = 0
        self._dead: deque[int] = deque(maxlen=2 * TAP_LIMIT)
        for row in self._dead_lettered():
            self._note(row)

    def read(self) -> list[Delivery]:
        after, self._last = self._last, self._last_id()
        rows = []
        if after != self._last:
            where = {"after": after, "last": self._last, **self._where}
            rows = self._database.read(_PARKED, where, give_up=self._give_up)[::-1]
        new = [row for row in self._dead_lettered() if row[0] not in self._dead]
        for row in new:
            self._note(row)
        known = {row[0] for row in rows}
        rows += [row for row in new if row[0] not in known]
        return [to_delivery(row, self._names, Queue.REJECTS, 0) for row in rows]

    def close(self) -> None:
        self._database.close()

    @property
    def _where(self) -> dict[str, Any]:
        return {"queue": self._names.queue(Queue.REJECTS), "limit": TAP_LIMIT}

    def _last_id(self) -> int:
        last: int = self._database.read(_LAST_ID, give_up=self._give_up)[0][0]
        return last

    def _dead_lettered(self) -> list[Any]:
        where = {"since": self._dead_at, **self._where}
        return self._database.read(_DEAD_LETTERED, where, give_up=self._give_up)[::-1]

    def _note(self, row: tuple[Any, ...]) -> None:
        self._dead.append(row[0])
        self._dead_at = max(self._dead_at, row[-1])
