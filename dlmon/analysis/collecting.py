"""Events that are collected in memory, to be summarised at all levels in one go.

The more events are summarised together, the fewer summaries are read, merged and written again,
those of days above all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TypeAlias

from dlmon.analysis.geography import world
from dlmon.analysis.hours import DAY, HOUR
from dlmon.analysis.levels import Level, Summary
from dlmon.analysis.stats import SIZE_NAMES, Stats, codes_of
from dlmon.stores.reading import Sample

# Bytes of memory, about: a list with its place in a table; two references to shared numbers.
_GROUP_BYTES = 330
_EVENT_BYTES = 20

_PLACES = 1 << 30
"""More than the largest number of a place."""

_CLASSES = len(SIZE_NAMES)

_Group: TypeAlias = list[int]
"""Downloads: the bytes of each class of size, and then two codes of each download."""

_NOTHING: _Group = [0] * _CLASSES


class Collection:
    """Events, grouped by hour and place."""

    def __init__(self) -> None:
        # By one number that sorts by day, then place, then hour.
        self._groups: dict[int, _Group] = {}
        self._count = 0

    @property
    def size(self) -> int:
        """How many bytes of memory it takes, about."""
        return len(self._groups) * _GROUP_BYTES + self._count * _EVENT_BYTES

    def add(self, samples: Sequence[Sample]) -> None:
        """Collect events."""
        if not samples:
            return
        times, latitudes, longitudes, file_sizes, download_speeds = zip(*samples, strict=True)
        hours = [at // HOUR for at in times]
        first_keys = {hour: _key(hour, 0) for hour in {*hours}}
        if min(file_sizes) < 0:
            file_sizes = tuple(max(0, file_size) for file_size in file_sizes)
        groups = self._groups
        for hour, place, size_class, size, speed, file_size in zip(
            hours,
            world().places_of(latitudes, longitudes),
            *codes_of(file_sizes, download_speeds),
            file_sizes,
            strict=True,
        ):
            key = first_keys[hour] + place * DAY
            if key in groups:
                group = groups[key]
            else:
                group = groups[key] = [*_NOTHING]
            group[size_class] += file_size
            group += (size, speed)
        self._count += len(samples)

    def summaries(self) -> Iterator[tuple[Level, Summary]]:
        """The events at all levels, each summary once.

        Only those of one day are in memory together, and of its cells only one.
        """
        keys = sorted(self._groups)
        for day, keys_of_day in groupby(keys, lambda key: key // DAY // _PLACES):
            yield from self._summaries_of_day(day, keys_of_day)

    def _summaries_of_day(self, day: int, keys: Iterator[int]) -> Iterator[tuple[Level, Summary]]:
        first = day * DAY
        by_place = groupby(keys, lambda key: key // DAY % _PLACES)
        places = ((*world().names_of(place), of_place) for place, of_place in by_place)
        hours: dict[int, _Group] = {}
        for country, cells in groupby(places, lambda place: place[0]):
            country_hours: dict[int, _Group] = {}
            country_day = [*_NOTHING]
            for _, cell, keys_of_cell in cells:
                cell_day = [*_NOTHING]
                for key in keys_of_cell:
                    hour, group = first + key % DAY, self._groups[key]
                    yield Level.CELL_HOUR, Summary(hour, country, cell, _stats(group))
                    _add(cell_day, group)
                    _add(country_hours.setdefault(hour, [*_NOTHING]), group)
                yield Level.CELL_DAY, Summary(first, country, cell, _stats(cell_day))
                _add(country_day, cell_day)
            for hour, group in country_hours.items():
                yield Level.COUNTRY_HOUR, Summary(hour, country, "", _stats(group))
                _add(hours.setdefault(hour, [*_NOTHING]), group)
            yield Level.COUNTRY_DAY, Summary(first, country, "", _stats(country_day))
        for hour, group in hours.items():
            yield Level.WORLD_HOUR, Summary(hour, "", "", _stats(group))


def _add(group: _Group, other: _Group) -> None:
    """Add the downloads of another group."""
    for size_class in range(_CLASSES):
        group[size_class] += other[size_class]
    group += other[_CLASSES:]


def _stats(group: _Group) -> Stats:
    return Stats.of(group[_CLASSES:], group[:_CLASSES])


def _key(hour: int, place: int) -> int:
    day, hour_of_day = divmod(hour, DAY)
    return (day * _PLACES + place) * DAY + hour_of_day
