"""Downloads that look real on a map: where, how much and how fast."""

from __future__ import annotations

import math
import time
from bisect import bisect
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import accumulate, repeat
from random import Random

from dlmon.errors import UsageError
from dlmon.sources.base import VALID, PlannedEvent
from dlmon.sources.simulation.cities import City, load_cities

# Rough assumptions, in the order of magnitude of public speed tests. Nothing here was measured.
_MEDIAN_SPEED = {"AF": 12.0, "AS": 35.0, "EU": 80.0, "NA": 45.0, "OC": 60.0, "SA": 50.0}
"""Megabits per second, by continent."""
_FAST = frozenset({"CA", "CH", "CN", "DK", "FR", "JP", "KR", "NL", "SE", "SG", "TW", "US"})
_MEDIAN_FAST_SPEED = 150.0
_SPEED_SPREAD = 0.8  # of the logarithm: one download in six is more than 2.2 times the median

_MEDIAN_SIZE = 8e6  # bytes
_SIZE_SPREAD = 2.0  # of the logarithm: one download in a hundred is larger than 800 MB

# In a city of a million people, half of the downloads are within 2.6 km, 99% within 12 km.
_SCALE_OF_A_MILLION = 4.0  # km
_SCALE_GROWTH = 0.4  # of the logarithm: cities grow a little denser as they grow
_FARTHEST = 10.0  # scales; keeps every latitude in range, and most points on land
_KM_PER_DEGREE = 111.2  # of a great circle

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Downloads:
    """An endless series of valid events.

    Cities are drawn by population, and points around them at distances with a long tail. Sizes and
    speeds are log-normal, speeds around a median that depends on the continent.

    The same seed gives the same series on every version of Python: only `Random.random` and
    `Random.getrandbits` are used, because the algorithms of the distributions may change.
    """

    def __init__(
        self, seed: int | None = None, start: int | None = None, interval: float = 0.1
    ) -> None:
        """start: the timestamp of the first event, in milliseconds since the epoch; without it
        timestamps follow the clock. interval: seconds from one timestamp to the next, where there
        is a start."""
        self._random = Random(seed)  # noqa: S311  (no secret comes from it)
        self._start = start
        self._interval = 1000 * interval
        self._made = 0
        cities = load_cities()
        self._weights = list(accumulate(city.population for city in cities))
        self._places = [_place(city) for city in cities]

    def make(self, count: int) -> list[PlannedEvent]:
        """The next `count` events.

        Raises: UsageError when their timestamps are outside of the years 1 to 9999.
        """
        random, bits = self._random.random, self._random.getrandbits
        weights, places, total = self._weights, self._places, self._weights[-1]
        log, sqrt, exp, cos, sin, tau = math.log, math.sqrt, math.exp, math.cos, math.sin, math.tau
        events = []
        for stamp in self._stamps(count):
            latitude, longitude, north, east, speed = places[bisect(weights, random() * total)]
            # A point of a two-dimensional t distribution (the "2Dt" kernel of ecology), cut off.
            tail = 1 - random() * (1 - (1 + _FARTHEST**2) ** -2)
            distance = sqrt(1 / sqrt(tail) - 1)
            direction = tau * random()
            latitude += north * distance * cos(direction)
            longitude += east * distance * sin(direction)
            longitude = (longitude + 180) % 360 - 180
            # Two independent normal deviates (Box and Muller).
            radius, angle = sqrt(-2 * log(1 - random())), tau * random()
            size = _MEDIAN_SIZE * exp(_SIZE_SPREAD * radius * cos(angle))
            speed *= exp(_SPEED_SPREAD * radius * sin(angle))
            event_id = _uuid4(bits(128))
            # Written out, because a serializer would take as long as all the rest.
            body = (
                f'{{"event_id":"{event_id}","timestamp":"{stamp}",'
                f'"coordinates":{{"latitude":{latitude:.6f},"longitude":{longitude:.6f}}},'
                f'"file_size":{size:.0f},"download_speed":{speed:.3f}}}'
            )
            events.append(PlannedEvent(event_id, body.encode(), VALID))
        self._made += count
        return events

    def _stamps(self, count: int) -> Iterator[str]:
        if self._start is None:
            return repeat(_rfc3339(time.time_ns() // 1_000_000), count)
        numbers = range(self._made, self._made + count)
        return (_rfc3339(self._start + int(self._interval * number)) for number in numbers)


def _place(city: City) -> tuple[float, float, float, float, float]:
    """Latitude, longitude, degrees of each in one scale of distance, and the median speed."""
    scale = _SCALE_OF_A_MILLION * (city.population / 1e6) ** _SCALE_GROWTH
    north = scale / _KM_PER_DEGREE
    east = north / math.cos(math.radians(city.latitude))
    fast = city.country in _FAST
    speed = _MEDIAN_FAST_SPEED if fast else _MEDIAN_SPEED[city.continent]
    return city.latitude, city.longitude, north, east, speed


def _uuid4(bits: int) -> str:
    """128 bits as a UUID of version 4 (RFC 9562 section 5.4)."""
    bits = bits & ~(0xF000 << 64) & ~(0xC000 << 48) | 0x4000 << 64 | 0x8000 << 48
    digits = f"{bits:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _rfc3339(milliseconds: int) -> str:
    """A time since the epoch as RFC 3339, in UTC."""
    second, millisecond = divmod(milliseconds, 1000)
    return f"{_whole_second(second)}.{millisecond:03}Z"


@lru_cache(maxsize=16)
def _whole_second(second: int) -> str:
    try:
        return (_EPOCH + timedelta(seconds=second)).isoformat()[:19]
    except OverflowError as error:
        reason = "have passed the year 9999: start earlier"
        if second < 0:
            reason = "are before the year 1 in UTC: start later"
        raise UsageError(f"The timestamps {reason}.") from error
