"""A schedule of events at a rate that neither drifts nor bursts.

Event number n is due n/rate seconds after the start, so that small delays never add up: after one,
all events that are due by then are sent at once. A delay of more than `SLACK` seconds, and of more
than one event, is a stall: the process was suspended, the broker took nothing, or there were no
events. The schedule then restarts at that moment, and what was missed is not caught up.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from dlmon.runtime.stop import Stop

SLACK = 0.25
"""Seconds of delay that are caught up. At most this many seconds' worth of events are sent at once,
or one event where that is more."""

TICK = 0.005
"""Seconds. At high rates, events due within one tick are sent together."""

# Of an event: what is due in 0.3 s at 10 a second is 3 events, not 2.9999999999999996.
_ROUNDING = 1e-9

_T = TypeVar("_T")


class Pace:
    """A schedule that starts when it is first used."""

    def __init__(
        self,
        rate: float,
        duration: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """rate: events a second; 0 for no limit. duration: seconds after which nothing more is due.
        clock: returns seconds, and never goes back."""
        self._rate = rate
        self._slack = max(SLACK, 1 / rate) if rate else 0.0
        self._duration = math.inf if duration is None else duration
        self._clock = clock
        self._began: float | None = None
        # Seconds after the start; moved by a stall. `_taken` counts from there.
        self._origin = 0.0
        self._taken = 0

    @property
    def over(self) -> bool:
        """True once the duration is over. What was due before may still be taken."""
        return self._elapsed() >= self._duration

    def due(self, limit: int) -> int:
        """How many events are due now, up to `limit`."""
        elapsed = self._elapsed()
        if not self._rate:
            return 0 if elapsed >= self._duration else limit
        if elapsed - self._next() > self._slack:
            self._origin, self._taken = elapsed, 0
        reached = math.floor((elapsed - self._origin) * self._rate + _ROUNDING) + 1
        if self._duration < math.inf:
            ever = math.ceil((self._duration - self._origin) * self._rate - _ROUNDING)
            reached = min(reached, ever)
        return max(0, min(limit, reached - self._taken))

    def take(self, count: int) -> None:
        """Record that `count` of the events that were due are being sent."""
        self._taken += count

    def delay(self) -> float:
        """Seconds until the next event is due, once all that was due is taken."""
        if not self._rate:
            return 0.0
        elapsed = self._elapsed()
        return max(TICK, min(self._next(), self._duration) - elapsed)

    def spread(self, items: Sequence[_T], stop: Stop) -> Iterator[Sequence[_T]]:
        """The items, a few at a time, when they are due. Ends early when a stop is requested, or
        the duration is over."""
        sent = 0
        while sent < len(items) and not stop.requested:
            due = self.due(len(items) - sent)
            if due:
                self.take(due)
                yield items[sent : sent + due]
                sent += due
            elif self.over:
                return
            else:
                stop.wait(self.delay())

    def _next(self) -> float:
        return self._origin + self._taken / self._rate

    def _elapsed(self) -> float:
        now = self._clock()
        if self._began is None:
            self._began = now
        return now - self._began
