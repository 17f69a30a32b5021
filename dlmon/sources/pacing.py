"""Events at a rate that neither drifts nor bursts.

Event number n is due n/rate seconds after the start, so that small delays never add up: whoever is
late gets at once all that is due by then. A delay of more than `SLACK` seconds, and of more than
one event, is a stall: the process was suspended, the broker took nothing, or there were no events.
Then the schedule moves: it goes on from that moment, and what was missed is not caught up.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

SLACK = 0.25
"""Seconds of delay that are caught up; at no time is more than this worth of events sent at once,
or one event where that is more."""

TICK = 0.005
"""Seconds. At high rates, what falls due within a tick goes out together."""

# Of an event: what is due in 0.3 s at 10 a second is 3 events, not 2.9999999999999996.
_ROUNDING = 1e-9


class Pace:
    """A schedule, which begins when it is first asked."""

    def __init__(
        self,
        rate: float,
        duration: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """rate: events a second; 0 is no schedule: any number is due at any time. duration: seconds
        after which nothing more falls due. clock: seconds, never set back."""
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
        """Note that so many of those that were due are on their way."""
        self._taken += count

    def delay(self) -> float:
        """Seconds to wait, once all that was due is taken, before it is worth asking again."""
        if not self._rate:
            return 0.0
        elapsed = self._elapsed()
        return max(TICK, min(self._next(), self._duration) - elapsed)

    def _next(self) -> float:
        return self._origin + self._taken / self._rate

    def _elapsed(self) -> float:
        now = self._clock()
        if self._began is None:
            self._began = now
        return now - self._began
