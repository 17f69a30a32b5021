"""When old events are deleted: in small steps between batches, so that no batch waits long."""

from __future__ import annotations

import time
from datetime import timedelta

STEP = 1000
"""Events that are deleted in one transaction."""

_PAUSE = 60.0
"""Seconds until the next step, once a step found fewer events than it may delete."""


class Retention:
    """Decides when a step of deletion is due.

    The age of an event counts from when it was stored. By its own timestamp, which comes from the
    clock of an agent, an event that is replayed or imported late would be deleted at once.
    """

    def __init__(self, keep: timedelta | None) -> None:
        """keep: how long events are kept; None: for ever."""
        self._keep = keep
        self._due_at = time.monotonic()

    def due(self) -> timedelta | None:
        """How long events are kept if a step is due now, None if none is."""
        now = time.monotonic()
        if self._keep is None or now < self._due_at:
            return None
        self._due_at = now + _PAUSE
        return self._keep

    def done(self, deleted: int) -> int:
        """Note that a step deleted so many events, and return that number."""
        if deleted >= STEP:
            self._due_at = time.monotonic()
        return deleted
