"""Percentiles of a stream of any length in a fixed amount of memory."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log

_LOWEST = 1e-3
_BUCKETS_PER_E = 20  # one bucket is 5% wide: what is told is off by half of that at most
_BUCKETS = 600  # up to 10^10 times the lowest
_OFFSET = 1 - log(_LOWEST) * _BUCKETS_PER_E


class Histogram:
    """Counts of values in buckets of equal relative width.

    Values from 0.001 to 10^10 are told with an error of 2.5%; smaller ones are 0, and larger ones
    count as the largest.
    """

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self._buckets = [0] * _BUCKETS

    def add(self, value: float, times: int = 1) -> None:
        self.add_all((value,), times)

    def add_all(self, values: Sequence[float], times: int = 1) -> None:
        """Count each of these values so many times."""
        buckets = self._buckets
        for value in values:
            bucket = int(log(value) * _BUCKETS_PER_E + _OFFSET) if value > _LOWEST else 0
            buckets[bucket if bucket < _BUCKETS else _BUCKETS - 1] += times
        self.count += len(values) * times
        self.total += sum(values) * times

    def merge(self, other: Histogram) -> None:
        """Count also what another one has counted."""
        self._buckets = [sum(counts) for counts in zip(self._buckets, other._buckets, strict=True)]
        self.count += other.count
        self.total += other.total

    def up_to(self, value: float) -> int:
        """How many values there are up to this one, with the error of a bucket."""
        return sum(self._buckets[: int(log(value) * _BUCKETS_PER_E + _OFFSET) + 1])

    def quantile(self, share: float) -> float | None:
        """The value that `share` of all (0 to 1) do not exceed; None where there are no values."""
        left = share * self.count
        for bucket, count in enumerate(self._buckets):
            left -= count
            if count and left <= 0:
                return exp((bucket + 0.5 - _OFFSET) / _BUCKETS_PER_E) if bucket else 0.0
        return None
