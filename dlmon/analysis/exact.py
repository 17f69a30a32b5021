"""Quantiles of values that are all kept: exact, at 8 bytes for each value."""

from __future__ import annotations

from array import array
from bisect import bisect, bisect_left
from collections.abc import Iterable
from math import ceil

from dlmon.analysis.stats import SIZE_BOUNDS
from dlmon.stores.reading import Sample

_STALLED = 1e-3  # Mbit/s: sketches count this and less as 0


class Values:
    """A collection of values, sorted when it is first asked for a quantile."""

    def __init__(self) -> None:
        self._values = array("d")
        self._sorted = True

    def add(self, value: float) -> None:
        self._values.append(value)
        self._sorted = False

    def merge(self, other: Values) -> None:
        self._values.extend(other._values)
        self._sorted = False

    @property
    def count(self) -> int:
        return len(self._values)

    def quantile(self, share: float) -> float | None:
        """The smallest value that a `share` (0 to 1) of all values do not exceed; None without
        values."""
        values = self._in_order()
        return values[max(0, ceil(share * len(values)) - 1)] if values else None

    def below(self, value: float) -> float | None:
        """The share (0 to 1) of smaller values; None without values."""
        values = self._in_order()
        return bisect_left(values, value) / len(values) if values else None

    def _in_order(self) -> array[float]:
        if not self._sorted:
            self._values = array("d", sorted(self._values))
            self._sorted = True
        return self._values


class ExactStats:
    """The downloads of a group: what `Stats` holds, exactly."""

    def __init__(self) -> None:
        self.count = 0
        self.volume = 0
        self.speeds = Values()
        self.sizes = Values()

    def add(self, sample: Sample) -> None:
        """Count one download."""
        file_size = max(0, sample.file_size)
        self.count += 1
        self.volume += file_size
        self.sizes.add(file_size)
        if sample.download_speed > _STALLED and bisect(SIZE_BOUNDS, file_size):
            self.speeds.add(sample.download_speed)

    def merge(self, others: Iterable[ExactStats]) -> None:
        """Add the downloads of other groups."""
        for other in others:
            self.count += other.count
            self.volume += other.volume
            self.sizes.merge(other.sizes)
            self.speeds.merge(other.speeds)
