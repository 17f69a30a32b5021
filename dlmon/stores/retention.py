"""When old events are deleted: in small steps between batches, so that no batch waits for long."""

from __future__ import annotations

import time
from datetime import timedelta

STEP = 1000
"""Events deleted at once."""

_PAUSE = 60.0
"""Seconds until it is worth looking again, once there was less to delete than a whole step."""


class Retention:
    """What is left of `--keep`: whether a step is due, and of which events.

    The age of an event counts from when it was stored. Its own timestamp is what an agent's clock
    says, and one that is replayed or imported late would be gone at once.
    """

    def __init__(self, keep: timedelta | None) -> None:
        """keep: for how long; None: for ever."""
        self._keep = keep
        self._due_at = time.monotonic()

    def due(self) -> timedelta | None:
        """What was stored so long ago is to be deleted now. None: nothing is."""
        now = time.monotonic()
        if self._keep is None or now < self._due_at:
            return None
        self._due_at = now + _PAUSE
        return self._keep

    def done(self, deleted: int) -> int:
        """A step was made: returns how many events it deleted."""
        if deleted >= STEP:
            self._due_at = time.monotonic()
        return deleted
