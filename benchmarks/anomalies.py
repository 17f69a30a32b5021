"""`python -m benchmarks.anomalies [--places N] [--seed N]`: false alarms and finds.

A day of downloads is compared with the same hours of four weeks before: first as it is, then with
half of the speed in one of twenty hours of a cell. Without older history, it is compared with the
day before: a Saturday with a Friday, and a Monday with a Sunday. People sleep as those of simulated
events do. Beside it, what a rule of thumb cries: 30% below last week (or yesterday), from 10
downloads on.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from math import exp, log
from pathlib import Path
from random import Random
from time import perf_counter
from typing import NamedTuple

from dlmon.analysis.anomalies import Anomaly, Group, Kind, find_anomalies
from dlmon.analysis.geography import world
from dlmon.analysis.hours import HOUR
from dlmon.analysis.levels import Level
from dlmon.analysis.sketch import Sketch
from dlmon.analysis.summaries import Summaries
from dlmon.monitoring.histogram import value_of
from dlmon.runtime.geohash import cell_of
from dlmon.runtime.stop import Stop
from dlmon.sources.simulation.activity import activity, speed_factor
from dlmon.sources.simulation.cities import City, load_cities
from dlmon.stores.reading import Sample
from tests.support.samples import ListReader

FRIDAY, SATURDAY, MONDAY = (24 * day for day in (20_000, 20_001, 20_003))
"""Hours since the epoch: the first of each of these days."""

DAY, WEEK = 24, 168
WEEKS = [WEEK * number for number in range(1, 5)]
"""Hours before."""


class Case(NamedTuple):
    """A day, the days that it is compared with (hours before it), and the share of its hours of
    cells with half of the speed."""

    title: str
    today: int
    before: Sequence[int]
    slowed: float


CASES = (
    Case("unchanged", FRIDAY, WEEKS, 0.0),
    Case("half the speed in 5% of hours", FRIDAY, WEEKS, 0.05),
    Case("unchanged, Saturday to Friday", SATURDAY, [DAY], 0.0),
    Case("unchanged, Monday to Sunday", MONDAY, [DAY], 0.0),
)


def main() -> None:
    """Print the counts of each case as a line of Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.anomalies", description=__doc__)
    parser.add_argument("--places", type=int, default=60, help="cities, the largest")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    cities = load_cities()[: arguments.places]
    print(
        "| data | hours of groups tested | cries of the rule of thumb | anomalies | found | false |"
    )
    print("|---|--:|--:|--:|--:|--:|")
    for case in CASES:
        _run(case, cities, Random(arguments.seed))  # noqa: S311  (a seed)


def _run(case: Case, cities: list[City], random: Random) -> None:
    today, before = case.today, case.before
    slowed = {
        (_cell(city), today + hour)
        for city in cities
        for hour in range(24)
        if random.random() < case.slowed
    }
    samples = [*_downloads(cities, random, [0, *before], today, slowed)]
    with tempfile.TemporaryDirectory() as folder, Summaries(Path(folder, "s.db")) as summaries:
        summaries.follow(ListReader(samples), Stop())
        started = perf_counter()
        anomalies = find_anomalies(summaries, today, today + DAY)
        seconds = perf_counter() - started
        cries, groups = _rule_of_thumb(summaries, today, before[0])
    slow = [one for one in anomalies.found if one.kind is Kind.SLOW]
    tested = {one for one in slowed if one in groups}
    found = sum(any(_covers(one, *place) for one in slow) for place in tested)
    false = sum(not any(_covers(one, *place) for place in slowed) for one in anomalies.found)
    print(
        f"| {case.title} | {anomalies.tests:,} | {cries:,} | {len(anomalies.found):,} "
        f"| {found:,} of {len(tested):,} | {false:,} |"
    )
    print(f"<!-- {len(samples):,} downloads, {seconds:.1f} s -->")


def _downloads(
    cities: list[City],
    random: Random,
    days: Sequence[int],
    today: int,
    slowed: set[tuple[Group, int]],
) -> Iterator[Sample]:
    """Of some days, so many hours before today."""
    largest = max(city.population for city in cities)
    for city in cities:
        cell = _cell(city)
        median = log(random.lognormvariate(3.5, 0.5))
        for before in days:
            for at in range(today - before, today - before + DAY):
                people = city.population / largest
                expected = 40 + 400 * activity(at, city.longitude) * people
                count = max(0, round(random.gauss(expected, expected**0.5)))
                factor = speed_factor(at, city.longitude) * (0.5 if (cell, at) in slowed else 1.0)
                for _ in range(count):
                    size = int(random.lognormvariate(log(8e6), 1.6))
                    speed = exp(random.gauss(median, 0.8)) * factor
                    yield Sample(at * HOUR, city.latitude, city.longitude, size, speed)


def _cell(city: City) -> Group:
    country = world().country_of(city.latitude, city.longitude)
    return Group(country, cell_of(city.latitude, city.longitude))


def _covers(anomaly: Anomaly, cell: Group, hour: int) -> bool:
    same = anomaly.group in (cell, Group(cell.country, ""), Group("", ""))
    return same and anomaly.since <= hour < anomaly.until


def _rule_of_thumb(
    summaries: Summaries, today: int, before: int
) -> tuple[int, set[tuple[Group, int]]]:
    """How often a mean is 30% below that of so many hours before; and the hours of cells with 50
    speeds."""
    speeds = {
        (Group(country, cell), hour): stats.speeds
        for first in (today, today - before)
        for hour, country, cell, stats in summaries.read(Level.CELL_HOUR, first, first + DAY)
    }
    cries = 0
    for (group, hour), now in speeds.items():
        then = speeds.get((group, hour - before))
        if then is not None and min(now.count, then.count) >= 10:
            cries += _mean(now) < 0.7 * _mean(then)
    tested = {key for key, now in speeds.items() if now.count >= 50 and key[1] >= today}
    return cries, tested


def _mean(speeds: Sketch) -> float:
    return sum(value_of(bucket) * count for bucket, count in speeds.counts.items()) / speeds.count


if __name__ == "__main__":
    main()
