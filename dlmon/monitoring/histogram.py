"""Quantiles of any number of values in a fixed amount of memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import exp, log

LOWEST, HIGHEST = 1e-3, 1e10
"""Values up to the lowest are in the first bucket, those from the highest on in the last one."""

BUCKETS_PER_E = 20
"""A bucket is 5% wide: a quantile is off by at most half of that."""

BUCKETS = 600
"""Buckets of a histogram: up to 10^10 times the lowest value."""

OFFSET = 1 - log(LOWEST) * BUCKETS_PER_E
"""A value between is in bucket `int(log(value) * BUCKETS_PER_E + OFFSET)`."""


def bucket_of(value: float) -> int:
    """The number of the bucket that a value is counted in."""
    if value >= HIGHEST:
        return BUCKETS - 1
    return int(log(value) * BUCKETS_PER_E + OFFSET) if value > LOWEST else 0


def buckets_of(values: Iterable[float]) -> list[int]:
    """The numbers of the buckets that values are counted in, in half of the time."""
    return [
        int(log(value) * BUCKETS_PER_E + OFFSET) if LOWEST < value < HIGHEST else bucket_of(value)
        for value in values
    ]


def value_of(bucket: int) -> float:
    """The value in the middle of a bucket, by its relative width."""
    return exp((bucket + 0.5 - OFFSET) / BUCKETS_PER_E) if bucket else 0.0


class Histogram:
    """Counts of values in buckets of equal relative width.

    Quantiles from 0.001 to 10^10 have an error of at most 2.5%. Values come from outside: negative
    ones count as 0 and larger ones as 10^10, in the total too, so that it only grows and stays
    finite.
    """

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self._buckets = [0] * BUCKETS

    def add(self, value: float, times: int = 1) -> None:
        self.add_all((value,), times)

    def add_all(self, values: Sequence[float], times: int = 1) -> None:
        """Count each of the values `times` times."""
        if values and (min(values) < 0 or max(values) > HIGHEST):
            values = [min(max(value, 0), HIGHEST) for value in values]
        buckets = self._buckets
        for value in values:
            bucket = int(log(value) * BUCKETS_PER_E + OFFSET) if value > LOWEST else 0
            buckets[bucket if bucket < BUCKETS else BUCKETS - 1] += times
        self.count += len(values) * times
        self.total += sum(values) * times

    def merge(self, other: Histogram) -> None:
        """Add the counts of another histogram."""
        self._buckets = [sum(counts) for counts in zip(self._buckets, other._buckets, strict=True)]
        self.count += other.count
        self.total += other.total

    def up_to(self, value: float) -> int:
        """How many values are at most `value`, with the error of one bucket."""
        return sum(self._buckets[: int(log(value) * BUCKETS_PER_E + OFFSET) + 1])

    def quantile(self, share: float) -> float | None:
        """The value that a `share` (0 to 1) of all values do not exceed; None without values."""
        left = share * self.count
        for bucket, count in enumerate(self._buckets):
            left -= count
            if count and left <= 0:
                return value_of(bucket)
        return None
