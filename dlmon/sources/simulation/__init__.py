"""Simulated events: plausible downloads, some of them with a known fault."""

from __future__ import annotations

from collections.abc import Sequence

from dlmon.event import MAX_EVENT_BYTES
from dlmon.sources.base import PlannedEvent
from dlmon.sources.simulation.downloads import Downloads
from dlmon.sources.simulation.faults import FAULTS, Breaker, Fault
from dlmon.sources.simulation.slowdowns import Slowdown


class Simulation:
    """An endless source of events. The same arguments, with a seed and a `start`, give the same
    events, ids included.

    Without a start timestamps follow the clock, and with them the ids and, as people sleep at
    night, the places.
    """

    descriptor = None
    exhausted = False

    def __init__(
        self,
        *,
        seed: int | None = None,
        start: int | None = None,
        interval: float = 0.1,
        invalid: float = 0.0,
        faults: Sequence[Fault] = FAULTS,
        max_event_bytes: int = MAX_EVENT_BYTES,
        slowdowns: Sequence[Slowdown] = (),
    ) -> None:
        """start: timestamp of the first event, in milliseconds since the epoch. interval: seconds
        from one timestamp to the next, where there is a start. invalid: the share of events, from
        0 to 1, that get one of the `faults`. slowdowns: where and when downloads are
        slower."""
        self._downloads = Downloads(seed, start, interval, slowdowns)
        self._breaker = Breaker(invalid, faults, seed, max_event_bytes) if invalid else None

    def take(self, limit: int) -> list[PlannedEvent]:
        """The next `limit` events."""
        events = self._downloads.make(limit)
        return self._breaker.break_some(events) if self._breaker else events
