"""How long events take from their publication to the store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from dlmon.monitoring.totals import ConsumeTotals

_CREDIBLE_DELAY = range(-60_000, 366 * 24 * 3_600_000)
"""Milliseconds from published to committed. The time of publication comes from another machine: one
whose clock is a little ahead counts as no delay, and one that is plainly wrong does not count."""


def count_delays(totals: ConsumeTotals, published: Sequence[object], committed_at: int) -> None:
    """Add the delays of events that were committed together.

    published: as their messages say, which nobody vouches for. committed_at: milliseconds since the
    epoch.
    """
    # Many events of a batch were published in the same millisecond.
    for at, times in Counter(at for at in published if type(at) is int).items():
        if (delay := committed_at - at) in _CREDIBLE_DELAY:
            totals.delay.add(max(0, delay), times)
