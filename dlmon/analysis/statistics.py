"""Whether speeds have changed: what Ookla, M-Lab and Cloudflare Radar do, on sketches."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import accumulate
from math import erfc, exp, log, sqrt

from dlmon.analysis.sketch import Sketch
from dlmon.monitoring.histogram import value_of

MIN_COMPARED = 50
"""Downloads below which nothing is compared."""

FALSE_RATE = 0.05
"""The share of the finds of many tests that may be false."""

# Of the normal distribution: 0.1% of false alarms, 80% of finds. With the spread of the logarithm
# of speeds, they say which drop of the median can be found.
_ALARM, _POWER = 3.090, 0.842
_QUARTILE = 0.674


def slower_by_chance(now: Sketch, before: Sketch) -> float:
    """The probability that speeds as slow as these are drawn from the same distribution.

    The one-sided rank test of Mann and Whitney (1947), with its normal approximation and the
    correction for ties: a bucket of a sketch is one value.

    now, before: at least `MIN_COMPARED` values each.
    """
    count, other = now.count, before.count
    total = count + other
    buckets = sorted(before.counts)
    smaller = [0, *accumulate(map(before.counts.__getitem__, buckets))]
    rank_sum = 0  # twice the number of pairs in which the value of now is the larger one
    ties = sum([tied * tied * tied for tied in before.counts.values()]) - total
    for bucket, mine in now.counts.items():
        others = before.counts.get(bucket, 0)
        rank_sum += mine * (2 * smaller[bisect_left(buckets, bucket)] + others)
        ties += (others + mine) ** 3 - others**3
    mean = count * other / 2
    variance = count * other / 12 * (total + 1 - ties / (total * (total - 1)))
    if variance <= 0:  # all values are equal
        return 1.0
    deviation = (rank_sum / 2 + 0.5 - mean) / sqrt(variance)
    return erfc(-deviation / sqrt(2)) / 2


def discoveries(probabilities: Sequence[float], rate: float = FALSE_RATE) -> list[bool]:
    """Which of several tests find something, if at most a share `rate` of the finds may be false.

    The procedure of Benjamini and Hochberg (1995).
    """
    count = len(probabilities)
    limit = -1.0
    for rank, probability in enumerate(sorted(probabilities), 1):
        if probability <= rate * rank / count:
            limit = probability
    return [probability <= limit for probability in probabilities]


def smallest_visible_drop(now: Sketch) -> float | None:
    """The drop of the median, as a share (0 to 1), that so many downloads could show at all."""
    low, high = now.quantile(0.25), now.quantile(0.75)
    if not low or not high:
        return None
    spread = log(high / low) / (2 * _QUARTILE)
    return 1 - exp(-(_ALARM + _POWER) * spread / sqrt(now.count))


def median_of_shares(shares: Mapping[int, float]) -> float | None:
    """The median of a distribution that `Stats.mixed_speeds` gives, in Mbit/s."""
    left = 0.5
    for bucket in sorted(shares):
        left -= shares[bucket]
        if left <= 0:
            return value_of(bucket)
    return None
