"""What is found in downloads that were made slow, or left out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from dlmon.analysis.anomalies import Anomalies, Group, Kind, find_anomalies
from dlmon.analysis.hours import FIRST_HOUR, HOUR, LAST_HOUR
from dlmon.analysis.summaries import Summaries
from dlmon.runtime.stop import Stop
from dlmon.stores.reading import Sample
from tests.support.samples import ListReader

NOW = 24 * 20_000  # the first hour of a day
PLACES = {
    "Dublin": (53.35, -6.26),
    "Cork": (51.9, -8.47),
    "Galway": (53.27, -9.05),
    "Madrid": (40.4, -3.7),
    "Barcelona": (41.4, 2.17),
    "Paris": (48.86, 2.35),
    "Lyon": (45.76, 4.84),
}
DUBLIN, MADRID = Group("IE", "gc7x"), Group("ES", "ezjm")
IRELAND, WORLD = Group("IE", ""), Group("", "")


def found_in(
    folder: Path,
    change: Callable[[str, int], float] = lambda _city, _hour: 1.0,
    keep: Callable[[str, int], bool] = lambda _city, _hour: True,
    size: Callable[[int, Random], int] = lambda _hour, _random: 1_000_000,
    weeks: tuple[int, ...] = (0, 1, 2, 3, 4),
    hours: int = 6,
) -> Anomalies:
    """The anomalies in some hours, of 100 downloads for each place and hour.

    change: by which the speed of a place in an hour is multiplied; hours count from `NOW` on, those
    of the weeks before are negative.
    """
    random = Random(1)
    samples = [
        Sample(
            (NOW + hour) * HOUR,
            latitude,
            longitude,
            size(hour, random),
            random.lognormvariate(3, 0.7) * change(city, hour),
        )
        for week in weeks
        for hour in range(-168 * week, -168 * week + hours)
        for city, (latitude, longitude) in PLACES.items()
        if keep(city, hour)
        for _ in range(100)
    ]
    with Summaries(folder / "summaries.db") as summaries:
        summaries.follow(ListReader(samples), Stop())
        return find_anomalies(summaries, NOW, NOW + hours)


def test_nothing_is_found_where_nothing_changed(tmp_path: Path) -> None:
    anomalies = found_in(tmp_path)
    assert anomalies.found == ()
    assert anomalies.tests == 2 * 6 * (1 + 3 + 7)
    assert anomalies.weeks == 4


def test_a_slow_cell_is_found_alone_with_its_hours(tmp_path: Path) -> None:
    anomalies = found_in(
        tmp_path, lambda city, hour: 0.4 if city == "Dublin" and hour in (2, 3, 4) else 1.0
    )
    (one,) = anomalies.found
    assert (one.kind, one.group, one.since - NOW, one.until - NOW) == (Kind.SLOW, DUBLIN, 2, 5)
    assert one.ratio == pytest.approx(0.4, abs=0.1)
    assert one.count == 300
    assert one.visible_drop == pytest.approx(0.25, abs=0.08)
    assert not one.only_mix


def test_a_slow_country_is_found_once_and_not_by_its_cells(tmp_path: Path) -> None:
    ireland = ("Dublin", "Cork", "Galway")
    (one,) = found_in(
        tmp_path, lambda city, hour: 0.5 if city in ireland and hour >= 1 else 1.0
    ).found
    assert (one.group, one.since - NOW, one.until - NOW) == (IRELAND, 1, 6)


def test_a_slow_world_is_found_once(tmp_path: Path) -> None:
    (one,) = found_in(tmp_path, lambda _city, hour: 0.5 if hour >= 3 else 1.0).found
    assert (one.group, one.since - NOW, one.until - NOW) == (WORLD, 3, 6)


def test_causes_at_different_places_are_told_apart(tmp_path: Path) -> None:
    anomalies = found_in(
        tmp_path, lambda city, hour: 0.4 if city in ("Dublin", "Madrid") and 0 <= hour < 3 else 1.0
    )
    assert {one.group for one in anomalies.found} == {DUBLIN, MADRID}


def test_missing_downloads_are_found(tmp_path: Path) -> None:
    (one,) = found_in(
        tmp_path, keep=lambda city, hour: city != "Dublin" or hour not in (4, 5)
    ).found
    assert (one.kind, one.group, one.since - NOW, one.until - NOW) == (Kind.MISSING, DUBLIN, 4, 6)
    assert (one.now, one.before, one.count) == (0, 100, 0)


def test_an_hour_without_any_download_is_an_anomaly_of_the_world(tmp_path: Path) -> None:
    (one,) = found_in(tmp_path, keep=lambda _city, hour: hour != 2).found
    assert (one.kind, one.group, one.since - NOW) == (Kind.MISSING, WORLD, 2)


def test_a_drop_by_the_mix_of_sizes_alone_is_said_to_be_one(tmp_path: Path) -> None:
    random = Random(2)
    small = {hour: random.random() for hour in range(6)}

    def size(hour: int, random: Random) -> int:
        share = 0.9 if hour in small else 0.1
        return 200_000 if random.random() < share else 20_000_000

    folder = tmp_path
    samples = []
    chance = Random(3)
    for week in range(5):
        for hour in range(-168 * week, -168 * week + 6):
            for latitude, longitude in PLACES.values():
                for _ in range(100):
                    bytes_ = size(hour, chance)
                    median = 1.5 if bytes_ == 200_000 else 4.5
                    speed = chance.lognormvariate(median, 0.3)
                    samples.append(Sample((NOW + hour) * HOUR, latitude, longitude, bytes_, speed))
    with Summaries(folder / "summaries.db") as summaries:
        summaries.follow(ListReader(samples), Stop())
        (one,) = find_anomalies(summaries, NOW, NOW + 6).found
    assert (one.group, one.only_mix) == (WORLD, True)


def test_without_weeks_of_history_yesterday_is_the_baseline(tmp_path: Path) -> None:
    samples = [
        Sample((NOW + hour) * HOUR, 53.35, -6.26, 10**6, speed * (0.5 if hour >= 0 else 1.0))
        for hour in (-24, 0)
        for speed in range(1, 101)
    ]
    with Summaries(tmp_path / "summaries.db") as summaries:
        summaries.follow(ListReader(samples), Stop())
        anomalies = find_anomalies(summaries, NOW, NOW + 1)
    (one,) = anomalies.found
    assert (anomalies.weeks, one.weeks) == (0, 0)


def test_without_any_history_nothing_is_compared(tmp_path: Path) -> None:
    anomalies = found_in(tmp_path, weeks=(0,))
    assert anomalies == Anomalies((), 0, None)


def test_what_is_at_no_place_is_compared_as_a_country_alone(tmp_path: Path) -> None:
    samples = [
        Sample(hour * HOUR, 91.0, 0.0, 10**6, (10.0 + number) / (2 if hour == NOW else 1))
        for hour in (NOW - 168, NOW)
        for number in range(100)
    ]
    with Summaries(tmp_path / "summaries.db") as summaries:
        summaries.follow(ListReader(samples), Stop())
        anomalies = find_anomalies(summaries, NOW, NOW + 1)
    assert [one.group for one in anomalies.found] == [WORLD]
    assert anomalies.tests == 2 * 2


def test_of_thousands_of_years_only_hours_with_a_baseline_are_looked_at(tmp_path: Path) -> None:
    samples = [
        Sample(hour * HOUR, 53.35, -6.26, 10**6, 10.0 + number)
        for hour in (FIRST_HOUR, FIRST_HOUR + 24, NOW, LAST_HOUR - 168, LAST_HOUR)
        for number in range(60)
    ]
    with Summaries(tmp_path / "summaries.db") as summaries:
        summaries.follow(ListReader(samples), Stop())
        anomalies = find_anomalies(summaries, FIRST_HOUR, LAST_HOUR + 1)
    # Missing in the hours after NOW and LAST_HOUR - 168, and as many as usual in two hours.
    assert {one.since for one in anomalies.found} == {
        *(NOW + later for later in (24, 168, 336, 504, 672)),
        *(FIRST_HOUR + later for later in (48, 168, 192, 336, 360, 504, 528, 672, 696)),
        LAST_HOUR - 168 + 24,
    }
    assert anomalies.weeks == 1
