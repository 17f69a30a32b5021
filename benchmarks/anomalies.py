"""`python -m benchmarks.anomalies [--places N] [--seed N]`: false alarms and finds.

A day of downloads is compared with the same hours of four weeks before: first as it is, then with
half of the speed in one of twenty hours of a cell. Beside it, what a rule of thumb cries: 30% below
last week, from 10 downloads on.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from math import cos, exp, log, pi
from pathlib import Path
from random import Random
from time import perf_counter

from dlmon.analysis.anomalies import Anomaly, Group, Kind, find_anomalies
from dlmon.analysis.geography import world
from dlmon.analysis.hours import HOUR
from dlmon.analysis.sketch import Sketch
from dlmon.analysis.summaries import Level, Summaries
from dlmon.monitoring.histogram import value_of
from dlmon.runtime.geohash import cell_of
from dlmon.runtime.stop import Stop
from dlmon.sources.simulation.cities import City, load_cities
from dlmon.stores.reading import Sample
from tests.support.samples import ListReader

TODAY = 24 * 20_000
WEEK = 168
SLOWED = 0.05
"""The share of hours of cells with half of the speed."""


def main() -> None:
    """Print both counts as lines of Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.anomalies", description=__doc__)
    parser.add_argument("--places", type=int, default=60, help="cities, the largest")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    cities = load_cities()[: arguments.places]
    print(
        "| data | hours of groups tested | cries of the rule of thumb | anomalies | found | false |"
    )
    print("|---|--:|--:|--:|--:|--:|")
    for title, share in (("unchanged", 0.0), ("half the speed in 5% of hours", SLOWED)):
        _run(title, cities, Random(arguments.seed), share)  # noqa: S311  (a seed)


def _run(title: str, cities: list[City], random: Random, share: float) -> None:
    slowed = {
        (_cell(city), TODAY + hour)
        for city in cities
        for hour in range(24)
        if random.random() < share
    }
    samples = [*_downloads(cities, random, slowed)]
    with tempfile.TemporaryDirectory() as folder, Summaries(Path(folder, "s.db")) as summaries:
        summaries.follow(ListReader(samples), Stop())
        started = perf_counter()
        anomalies = find_anomalies(summaries, TODAY, TODAY + 24)
        seconds = perf_counter() - started
        cries, groups = _rule_of_thumb(summaries)
    slow = [one for one in anomalies.found if one.kind is Kind.SLOW]
    tested = {one for one in slowed if one in groups}
    found = sum(any(_covers(one, *place) for one in slow) for place in tested)
    false = sum(not any(_covers(one, *place) for place in slowed) for one in anomalies.found)
    print(
        f"| {title} | {anomalies.tests:,} | {cries:,} | {len(anomalies.found):,} "
        f"| {found:,} of {len(tested):,} | {false:,} |"
    )
    print(f"<!-- {len(samples):,} downloads, {seconds:.1f} s -->")


def _downloads(
    cities: list[City], random: Random, slowed: set[tuple[Group, int]]
) -> Iterator[Sample]:
    """Of the day and the same day of four weeks before. People sleep: there are few at night."""
    largest = max(city.population for city in cities)
    for city in cities:
        cell = _cell(city)
        median = log(random.lognormvariate(3.5, 0.5))
        for week in range(5):
            for hour in range(24):
                local = hour + city.longitude / 15
                daily = 0.55 - 0.45 * cos(2 * pi * (local - 3) / 24)
                expected = 40 + 400 * daily * city.population / largest
                count = max(0, round(random.gauss(expected, expected**0.5)))
                at = TODAY + hour - WEEK * week
                factor = 0.5 if (cell, at) in slowed else 1.0
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


def _rule_of_thumb(summaries: Summaries) -> tuple[int, set[tuple[Group, int]]]:
    """How often a mean is 30% below that of last week; and the hours of cells with 50 speeds."""
    speeds = {
        (Group(country, cell), hour): stats.speeds
        for first in (TODAY, TODAY - WEEK)
        for hour, country, cell, stats in summaries.read(Level.CELL_HOUR, first, first + 24)
    }
    cries = 0
    for (group, hour), now in speeds.items():
        before = speeds.get((group, hour - WEEK))
        if before is not None and min(now.count, before.count) >= 10:
            cries += _mean(now) < 0.7 * _mean(before)
    tested = {key for key, now in speeds.items() if now.count >= 50 and key[1] >= TODAY}
    return cries, tested


def _mean(speeds: Sketch) -> float:
    return sum(value_of(bucket) * count for bucket, count in speeds.counts.items()) / speeds.count


if __name__ == "__main__":
    main()
