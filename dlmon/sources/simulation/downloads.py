"""Downloads that look real on a map: where, how much and how fast."""

from __future__ import annotations

import math
import time
from bisect import bisect
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import accumulate, repeat
from random import Random
from typing import NamedTuple

from dlmon.errors import UsageError
from dlmon.sources.base import VALID, PlannedEvent
from dlmon.sources.simulation.activity import HOURS_OF_A_WEEK, activity, speed_factor
from dlmon.sources.simulation.cities import City, load_cities
from dlmon.sources.simulation.slowdowns import Slowdown

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
_HOUR = 3_600_000  # milliseconds
_LATEST_ID = (1 << 48) - 1  # milliseconds since the epoch: a UUID of version 7 has 48 bits for them


class _Hour(NamedTuple):
    """Cumulative weights of the places, and their median speeds, in an hour of the week."""

    weights: list[float]
    speeds: list[float]


class Downloads:
    """An endless series of valid events.

    Cities are drawn by population and by how active people are there at that hour, and points
    around them at distances with a long tail. Sizes and speeds are log-normal, speeds around a
    median that depends on the continent and is lower in the evening.

    Ids are UUIDs of version 7 (RFC 9562 section 5.7), each greater than the one before: a counter
    of 26 bits follows the time, and 48 random bits. Their time is that of the event, as far as it
    fits: 0 before 1970. The counter numbers the events, and begins again after 67 million.

    The same seed gives the same series on every version of Python: only `Random.random` and
    `Random.getrandbits` are used, because the algorithms of the distributions may change.
    """

    def __init__(
        self,
        seed: int | None = None,
        start: int | None = None,
        interval: float = 0.1,
        slowdowns: Sequence[Slowdown] = (),
    ) -> None:
        """start: the timestamp of the first event, in milliseconds since the epoch; without it
        timestamps follow the clock. interval: seconds from one timestamp to the next, where there
        is a start. slowdowns: those that overlap multiply."""
        self._random = Random(seed)  # noqa: S311  (no secret comes from it)
        self._start = start
        self._interval = 1000 * interval
        self._slowdowns = slowdowns
        self._made = 0
        self._latest = 0
        self._cities = load_cities()
        self._places = [_place(city) for city in self._cities]
        self._hours: dict[int, _Hour] = {}

    def make(self, count: int) -> list[PlannedEvent]:
        """The next `count` events.

        Raises: UsageError when their timestamps are outside of the years 1 to 9999.
        """
        random, bits = self._random.random, self._random.getrandbits
        places, slowdowns = self._places, self._slowdowns
        log, sqrt, exp, cos, sin, tau = math.log, math.sqrt, math.exp, math.cos, math.sin, math.tau
        events = []
        number, known, hour = self._made, None, None
        for at in self._times(count):
            if at != known:
                known, stamp, id_head = at, _rfc3339(at), self._id_head(at)
                if at // _HOUR != hour:
                    hour = at // _HOUR
                    weights, speeds = self._hour(hour)
                    total = weights[-1]
            place = bisect(weights, random() * total)
            latitude, longitude, north, east = places[place]
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
            speed = speeds[place] * exp(_SPEED_SPREAD * radius * sin(angle))
            if slowdowns:
                country = self._cities[place].country
                for one in slowdowns:
                    if one.affects(at, country, latitude, longitude):
                        speed *= one.factor
            event_id = (
                f"{id_head}{number >> 14 & 0xFFF:03x}-{0x8000 | number & 0x3FFF:x}-{bits(48):012x}"
            )
            number += 1
            # Written out, because a serializer would take as long as all the rest.
            body = (
                f'{{"event_id":"{event_id}","timestamp":"{stamp}",'
                f'"coordinates":{{"latitude":{latitude:.6f},"longitude":{longitude:.6f}}},'
                f'"file_size":{size:.0f},"download_speed":{speed:.3f}}}'
            )
            events.append(PlannedEvent(event_id, body.encode(), VALID))
        self._made = number
        return events

    def _times(self, count: int) -> Iterable[int]:
        """Milliseconds since the epoch of the next events."""
        if self._start is None:
            return repeat(time.time_ns() // 1_000_000, count)
        numbers = range(self._made, self._made + count)
        return (self._start + int(self._interval * number) for number in numbers)

    def _id_head(self, at: int) -> str:
        """The first 13 digits of ids: the time, which a clock that is set back does not lower,
        and the version."""
        self._latest = max(self._latest, min(at, _LATEST_ID))
        return f"{self._latest >> 16:08x}-{self._latest & 0xFFFF:04x}-7"

    def _hour(self, hour: int) -> _Hour:
        """What holds in an hour since the epoch."""
        key = hour % HOURS_OF_A_WEEK
        if key not in self._hours:
            cities = self._cities
            weights = accumulate(one.population * activity(key, one.longitude) for one in cities)
            speeds = [_median_speed(one) * speed_factor(key, one.longitude) for one in cities]
            self._hours[key] = _Hour(list(weights), speeds)
        return self._hours[key]


def _place(city: City) -> tuple[float, float, float, float]:
    """Latitude, longitude, and degrees of each in one scale of distance."""
    scale = _SCALE_OF_A_MILLION * (city.population / 1e6) ** _SCALE_GROWTH
    north = scale / _KM_PER_DEGREE
    east = north / math.cos(math.radians(city.latitude))
    return city.latitude, city.longitude, north, east


def _median_speed(city: City) -> float:
    return _MEDIAN_FAST_SPEED if city.country in _FAST else _MEDIAN_SPEED[city.continent]


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
