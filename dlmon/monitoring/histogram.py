"""Quantiles of any number of values in a fixed amount of memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import exp, log

_LOWEST = 1e-3
_BUCKETS_PER_E = 20  # a bucket is 5% wide: a quantile is off by at most half of that

BUCKETS = 600
"""Buckets of a histogram: up to 10^10 times the lowest value."""

_OFFSET = 1 - log(_LOWEST) * _BUCKETS_PER_E
_HIGHEST = 1e10


def bucket_of(value: float) -> int:
    """The number of the bucket that a value is counted in."""
    if value >= _HIGHEST:
        return BUCKETS - 1
    return int(log(value) * _BUCKETS_PER_E + _OFFSET) if value > _LOWEST else 0


def buckets_of(values: Iterable[float]) -> list[int]:
    """The numbers of the buckets that values are counted in, in half of the time."""
    return [
        int(log(value) * _BUCKETS_PER_E + _OFFSET)
        if _LOWEST < value < _HIGHEST
        else bucket_of(value)
        for value in values
    ]


def value_of(bucket: int) -> float:
    """The value in the middle of a bucket, by its relative width."""
    return exp((bucket + 0.5 - _OFFSET) / _BUCKETS_PER_E) if bucket else 0.0


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
        if values and (min(values) < 0 or max(values) > _HIGHEST):
            values = [min(max(value, 0), _HIGHEST) for value in values]
        buckets = self._buckets
        for value in values:
            bucket = int(log(value) * _BUCKETS_PER_E + _OFFSET) if value > _LOWEST else 0
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
        return sum(self._buckets[: int(log(value) * _BUCKETS_PER_E + _OFFSET) + 1])

    def quantile(self, share: float) -> float | None:
        """The value that a `share` (0 to 1) of all values do not exceed; None without values."""
        left = share * self.count
        for bucket, count in enumerate(self._buckets):
            left -= count
            if count and left <= 0:
                return value_of(bucket)
        return None
