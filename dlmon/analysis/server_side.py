"""Summaries that a server makes for a question: a row for each group, and no file that follows.

The server counts by the codes of `Stats`, so that the numbers are the same as from summaries. It
groups by the finest squares that countries and cells are made of, which are named here.
"""

from __future__ import annotations

from collections.abc import Iterator

from dlmon.analysis.geography import EAST_SQUARES, NORTH_SQUARES, SQUARES, world
from dlmon.analysis.hours import DAY, HOUR
from dlmon.analysis.levels import Summary
from dlmon.analysis.report import By, Question
from dlmon.analysis.stats import SIZE_BOUNDS, SIZE_UNIT, SPEEDS, VOLUMES, Stats
from dlmon.monitoring.histogram import BUCKETS, BUCKETS_PER_E, HIGHEST, LOWEST, OFFSET
from dlmon.runtime.geohash import Bounds, bounds_of
from dlmon.stores.reading import SqlReader

_MICROSECONDS = 1_000 * HOUR  # an hour


def _bucket(value: str) -> str:
    """SQL for `bucket_of`."""
    between = f"toUInt16(log({value}) * {BUCKETS_PER_E} + {OFFSET!r})"
    return f"multiIf({value} >= {HIGHEST}, {BUCKETS - 1}, {value} > {LOWEST}, {between}, 0)"


def _square(degrees: str, first: int, squares: int) -> str:
    return f"least(toInt32(({degrees} + {first}) * {squares}), {SQUARES - 1})"


_CODES = f"""
    toUnixTimestamp64Micro(timestamp) AS micros,
    greatest(file_size, 0) AS bytes,
    {" + ".join(f"(bytes >= {bound})" for bound in SIZE_BOUNDS)} AS size_class,
    size_class * {BUCKETS} + {_bucket(f"(bytes / {SIZE_UNIT})")} AS size_code,
    {SPEEDS} + size_class * {BUCKETS} + {_bucket("download_speed")} AS speed_code"""
_STATS = f"""
    sumMap([toUInt16(size_code), toUInt16(speed_code), toUInt16({VOLUMES} + size_class)],
        [toUInt64(1), toUInt64(1), toUInt64(bytes)])"""
# A step of the raster of countries is 32 by 16 squares, a cell 45 by 45.
_PLACE = f"""
    latitude BETWEEN -90 AND 90 AND longitude BETWEEN -180 AND 180 AS is_place,
    if(is_place, {_square("latitude", 90, NORTH_SQUARES)}, 0) AS y,
    if(is_place, {_square("longitude", 180, EAST_SQUARES)}, 0) AS x,
    (is_place, intDiv(y, 32), intDiv(x, 16), intDiv(y, 45), intDiv(x, 45)) AS place"""


def read_matching(question: Question, reader: SqlReader) -> Iterator[Summary]:
    """What a question is about, counted by the server: by hour or day if the question is, else in
    its first hour; in the order of hours.

    Raises: StoreUnavailable.
    """
    where = question.where
    countries, cell = where.countries(), where.cell or ""
    by_place = question.by in (By.COUNTRY, By.CONTINENT, By.CELL) or cell or countries is not None
    expressions = [_CODES, f"{_hour(question)} AS hour", _PLACE if by_place else "0 AS place"]
    query = (
        f"WITH {', '.join(expressions)} SELECT hour, any(latitude), any(longitude), {_STATS} "
        f"{reader.events(question.start * HOUR, question.end * HOUR)} "
        f"{_within(question)} GROUP BY hour, place ORDER BY hour"
    )
    geography = world()
    for hour, latitude, longitude, (codes, sums) in reader.select(query):
        country = name = ""
        if by_place:
            country, name = geography.names_of(geography.place_of(latitude, longitude))
        if (countries is None or country in countries) and name.startswith(cell):
            yield Summary(hour, country, name, Stats(dict(zip(codes, sums, strict=True))))


def read_span(reader: SqlReader, start: int, end: int) -> tuple[int, int] | None:
    """The first hour that has downloads and the last, since the epoch; None without any.

    Raises: StoreUnavailable.
    """
    ((count, first, last),) = reader.select(
        "SELECT count(), toUnixTimestamp64Milli(min(timestamp)), "
        f"toUnixTimestamp64Milli(max(timestamp)) {reader.events(start * HOUR, end * HOUR)}"
    )
    return (first // HOUR, last // HOUR) if count else None


def _hour(question: Question) -> str:
    """SQL for the hour that an event is counted in."""
    hours = {By.HOUR: 1, By.DAY: DAY}.get(question.by)
    if hours is None:
        return f"toInt64({question.start})"
    unit = hours * _MICROSECONDS
    return f"intDiv(micros - positiveModulo(micros, {unit}), {_MICROSECONDS})"


def _within(question: Question) -> str:
    """SQL for a condition that leaves out most of what is elsewhere."""
    countries = question.where.countries()
    bounds = [
        bounds_of(question.where.cell) if question.where.cell else None,
        None if countries is None else world().bounds_of(countries),
    ]
    return " ".join(map(_inside, filter(None, bounds)))


def _inside(bounds: Bounds) -> str:
    return (
        f"AND latitude BETWEEN {bounds.south!r} AND {bounds.north!r} "
        f"AND longitude BETWEEN {bounds.west!r} AND {bounds.east!r}"
    )
