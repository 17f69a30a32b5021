"""What is known of a group of downloads: counts, bytes, and sketches of speeds and sizes.

By class of size, because speed depends on it: the start of a TCP connection dominates small files.
"""

from __future__ import annotations

from bisect import bisect, bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from operator import add
from struct import Struct
from typing import NamedTuple

from dlmon.analysis.sketch import Sketch
from dlmon.monitoring.histogram import BUCKETS, buckets_of

SIZE_BOUNDS = (100_000, 1_000_000, 10_000_000, 100_000_000)
"""Bytes at which the next class of size begins. Speeds of files in the first class, the smallest,
are in no percentile."""

SIZE_NAMES = ("under 100 kB", "100 kB to 1 MB", "1 to 10 MB", "10 to 100 MB", "100 MB and more")
"""The classes of size, the smallest first."""

SIZE_UNIT = 1_000
"""Bytes, so that sketches hold sizes from 1 byte to 10 TB."""

_STALLED = 0  # the bucket of a speed of 0

# The table of a group, by code: for each class of size the downloads by size, then for each the
# downloads by speed, and then the bytes of each.
SPEEDS = len(SIZE_NAMES) * BUCKETS
"""The first code of speeds."""

VOLUMES = 2 * SPEEDS
"""The first code of bytes."""

_COUNTING = SPEEDS + BUCKETS
"""The first code of speeds that count: those of the smallest files do not."""

_CODES = [*range(VOLUMES)]  # so that there is one object for each

_HEAD = Struct("<HB")  # how many codes, and the width of a count
_WIDTHS = "BHIQ"
_LARGEST = (0xFF + 1, 0xFFFF + 1, 0xFFFF_FFFF + 1)  # counts from which the next width is needed


class Codes(NamedTuple):
    """By what downloads are counted, for each of them: its class of size, and its codes."""

    size_classes: list[int]
    sizes: list[int]
    speeds: list[int]


def codes_of(file_sizes: Sequence[int], download_speeds: Sequence[float]) -> Codes:
    """file_sizes: bytes, download_speeds: Mbit/s; less than 0 counts as 0."""
    size_classes = [bisect(SIZE_BOUNDS, file_size) for file_size in file_sizes]
    sizes = buckets_of([file_size / SIZE_UNIT for file_size in file_sizes])
    speeds = buckets_of(download_speeds)
    firsts = [size_class * BUCKETS for size_class in size_classes]
    code_of = _CODES.__getitem__
    return Codes(
        size_classes,
        [*map(code_of, map(add, firsts, sizes))],
        [*map(code_of, map(add, firsts, [SPEEDS + speed for speed in speeds]))],
    )


class Stats:
    """The downloads of a group.

    counts: a flat table of sums by code, which is merged and packed in one go. Most groups have few
    downloads, so that a table for each sketch would take longer.
    """

    __slots__ = ("counts",)

    def __init__(self, counts: dict[int, int] | None = None) -> None:
        self.counts: dict[int, int] = {} if counts is None else counts

    @classmethod
    def of(cls, codes: Iterable[int], volumes: Iterable[int]) -> Stats:
        """Those of downloads. codes: two of each, by `codes_of`. volumes: the bytes of each class
        of size."""
        stats = cls(Counter(codes))
        for code, volume in enumerate(volumes, VOLUMES):
            if volume:
                stats.counts[code] = volume
        return stats

    def add(self, file_size: int, download_speed: float) -> None:
        """Count one download. file_size: bytes, download_speed: Mbit/s; less than 0 counts as 0."""
        (size_class,), *codes = codes_of((file_size,), (download_speed,))
        volumes = [0] * len(SIZE_NAMES)
        volumes[size_class] = max(0, file_size)
        self.merge(Stats.of(chain(*codes), volumes))

    def merge(self, other: Stats, times: int = 1) -> None:
        """Add the downloads of another group. times: -1 takes them away again."""
        counts = self.counts
        if not counts and times == 1:
            counts.update(other.counts)
            return
        get = counts.get
        for code, count in other.counts.items():
            counts[code] = get(code, 0) + times * count

    @property
    def count(self) -> int:
        """How many downloads."""
        return (sum(self.counts.values()) - self.volume) // 2  # a size and a speed of each

    @property
    def volume(self) -> int:
        """Bytes of all downloads together."""
        get = self.counts.get
        return sum([get(code, 0) for code in range(VOLUMES, VOLUMES + len(SIZE_NAMES))])

    @property
    def sizes(self) -> Sketch:
        """Sizes in bytes of all downloads."""
        sizes: dict[int, int] = {}
        for code, count in self.counts.items():
            if code < SPEEDS:
                bucket = code % BUCKETS
                sizes[bucket] = sizes.get(bucket, 0) + count
        return Sketch(sizes, SIZE_UNIT)

    @property
    def speeds(self) -> Sketch:
        """Speeds in Mbit/s of the downloads whose speed counts: not of small files, and not 0."""
        counts = self.counts.items()
        return _speeds((code, count) for code, count in counts if _COUNTING <= code < VOLUMES)

    def speeds_of(self, size_class: int) -> Sketch:
        """Speeds in Mbit/s of the downloads of one class of size, without those of 0."""
        first = SPEEDS + size_class * BUCKETS
        return Sketch(self._part(first, first + BUCKETS, after=_STALLED))

    def by_size(self) -> dict[int, Stats]:
        """The downloads of each class of size that has any."""
        result: dict[int, Stats] = {}
        for code, count in self.counts.items():
            size_class = code - VOLUMES if code >= VOLUMES else code // BUCKETS % len(SIZE_NAMES)
            result.setdefault(size_class, Stats()).counts[code] = count
        return dict(sorted(result.items()))

    def mix(self) -> dict[int, float]:
        """The share (0 to 1) that each class of size has of the speeds that count."""
        counts = {number: self.speeds_of(number).count for number in range(1, len(SIZE_NAMES))}
        total = sum(counts.values())
        return {number: count / total for number, count in counts.items() if count}

    def mixed_speeds(self, mix: Mapping[int, float]) -> dict[int, float]:
        """The distribution of speeds, as it would be with another mix of sizes.

        mix: the share of each class of size. Returns the share of each bucket; classes without
        speeds are left out, and the others make up for them.
        """
        shares: dict[int, float] = {}
        for size_class, share in mix.items():
            speeds = self.speeds_of(size_class)
            count = speeds.count
            for bucket, times in speeds.counts.items():
                shares[bucket] = shares.get(bucket, 0.0) + share * times / count
        total = sum(shares.values())
        return {bucket: share / total for bucket, share in shares.items()} if total else {}

    def pack(self) -> bytes:
        """All of it in few bytes, for `Stats.unpack`.

        Made for speed: sorted codes of two bytes each, their counts in as many bytes as the largest
        one needs, and then each class of size with the bytes of its downloads.
        """
        codes = sorted(self.counts)
        counts = [*map(self.counts.__getitem__, codes)]
        count = bisect_left(codes, VOLUMES)
        width = bisect(_LARGEST, max(counts[:count], default=0))
        packed = _layout(count, width).pack(count, width, *codes[:count], *counts[:count])
        for code, volume in zip(codes[count:], counts[count:], strict=True):
            length = (volume.bit_length() + 7) // 8
            packed += bytes((code - VOLUMES, length)) + volume.to_bytes(length, "little")
        return packed

    @classmethod
    def unpack(cls, packed: bytes) -> Stats:
        """What `pack` packed."""
        count, width = _HEAD.unpack_from(packed)
        layout = _layout(count, width)
        numbers = layout.unpack_from(packed)
        counts = dict(zip(numbers[2 : count + 2], numbers[count + 2 :], strict=True))
        position = layout.size
        while position < len(packed):
            size_class, length = packed[position : position + 2]
            position += 2 + length
            volume = int.from_bytes(packed[position - length : position], "little")
            counts[VOLUMES + size_class] = volume
        return cls(counts)

    def _part(self, first: int, end: int, after: int = -1) -> dict[int, int]:
        """A part of the table, counted from its beginning. after: leave out up to this number."""
        return {
            code - first: count
            for code, count in self.counts.items()
            if first + after < code < end and code >= first
        }


def speeds_in(packed: bytes) -> Sketch:
    """`Stats.speeds` of what `Stats.pack` gave, in a third of the time."""
    count, width = _HEAD.unpack_from(packed)
    numbers = _layout(count, width).unpack_from(packed)
    first = bisect_left(numbers, _COUNTING, 2, count + 2)
    return _speeds(zip(numbers[first : count + 2], numbers[first + count :], strict=True))


def _speeds(counts: Iterable[tuple[int, int]]) -> Sketch:
    """counts: by code, of the speeds that count."""
    speeds: dict[int, int] = {}
    get = speeds.get
    for code, count in counts:
        bucket = code % BUCKETS
        speeds[bucket] = get(bucket, 0) + count
    speeds.pop(_STALLED, None)
    return Sketch(speeds)


@lru_cache(maxsize=2_000)
def _layout(count: int, width: int) -> Struct:
    """The bytes of so many codes and their counts, of a width that is a place in `_WIDTHS`."""
    return Struct(f"{_HEAD.format}{count}H{count}{_WIDTHS[width]}")
