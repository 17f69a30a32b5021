"""Quantiles of many values, in counts that merge exactly.

The buckets are those of `dlmon.monitoring.histogram`: 5% wide, so that a quantile is off by at most
2.5%. A sketch holds only the buckets that have values, since most have none.
"""

from __future__ import annotations

from dlmon.monitoring.histogram import bucket_of, value_of


class Sketch:
    """Counts of values by bucket. `counts` maps the number of a bucket to its count, above 0.

    unit: values are counted in multiples of it. From 0.001 to 10^10 units a quantile is exact to
    2.5%; less counts as 0, and more as 10^10 units.
    """

    __slots__ = ("_unit", "counts")

    def __init__(self, counts: dict[int, int] | None = None, unit: float = 1.0) -> None:
        self.counts: dict[int, int] = {} if counts is None else counts
        self._unit = unit

    def add(self, value: float, times: int = 1) -> None:
        bucket = bucket_of(value / self._unit)
        self.counts[bucket] = self.counts.get(bucket, 0) + times

    def merge(self, other: Sketch) -> None:
        """Add the counts of another sketch, of the same unit."""
        counts = self.counts
        for bucket, count in other.counts.items():
            counts[bucket] = counts.get(bucket, 0) + count

    @property
    def count(self) -> int:
        return sum(self.counts.values())

    def quantile(self, share: float) -> float | None:
        """The value that a `share` (0 to 1) of all values do not exceed; None without values."""
        left = share * self.count
        for bucket in sorted(self.counts):
            left -= self.counts[bucket]
            if left <= 0:
                return value_of(bucket) * self._unit
        return None

    def below(self, value: float) -> float | None:
        """The share (0 to 1) of values in buckets below that of `value`, and of half of its own;
        None without values."""
        if not self.counts:
            return None
        bucket = bucket_of(value / self._unit)
        smaller = sum(count for number, count in self.counts.items() if number < bucket)
        return (smaller + self.counts.get(bucket, 0) / 2) / self.count
