"""Where downloads are slower than at the same hour before, or missing, and since when.

A group (the world, a country, a cell) is compared hour by hour with the same hour of the last four
weeks, or, where there are none, with the same hour of yesterday. Over all groups and hours, at most
one find in twenty is false (`discoveries`); of those, only a median of at most 0.8 of the baseline
is reported. One cause is reported once: hours in a row are one anomaly, and of a group and those
within it only one is reported (`_one_for_each_cause`).
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from math import erfc, sqrt
from typing import NamedTuple

from dlmon.analysis.hours import DAY
from dlmon.analysis.levels import Level
from dlmon.analysis.sketch import Sketch
from dlmon.analysis.statistics import (
    FALSE_RATE,
    MIN_COMPARED,
    discoveries,
    median_of_shares,
    slower_by_chance,
    smallest_visible_drop,
)
from dlmon.analysis.stats import Stats, speeds_in
from dlmon.analysis.summaries import Summaries

WEEK = 168
"""Hours."""

WEEKS = 4
"""How many weeks before are the baseline."""

LARGEST_RATIO = 0.8
"""Of the median to that of the baseline: what has dropped less is not reported."""

LARGEST_VOLUME = 0.5
"""Of the number of downloads to that of the baseline: what has dropped less is not reported."""

_MIN_EXPECTED = 20  # downloads an hour, below which a missing one means nothing
_GAP = 2  # hours between two parts of one anomaly, in which chance may have hidden it
_UNAFFECTED = 0.9  # ratio from which the rest of a group is not slow itself
_LEVELS = (Level.WORLD_HOUR, Level.COUNTRY_HOUR, Level.CELL_HOUR)


class Kind(StrEnum):
    """What is wrong."""

    SLOW = "slow"
    MISSING = "missing"


class Group(NamedTuple):
    """country: empty for the world. cell: empty for the world and a country."""

    country: str
    cell: str


@dataclass(frozen=True, slots=True)
class Anomaly:
    """A group that was slower than usual, or had fewer downloads, in some hours.

    since, until: hours since the epoch, the end is exclusive; up to two hours within may not stand
    out. now, before: the median in Mbit/s, or downloads an hour, in the hours that do. count:
    downloads in these. weeks: of the baseline; 0 where it is yesterday. only_mix: the drop is gone
    at the mix of sizes of the baseline. visible_drop: the smallest drop (0 to 1) that a single one
    of these hours could show.
    """

    kind: Kind
    group: Group
    since: int
    until: int
    now: float
    before: float
    count: int
    weeks: int
    only_mix: bool = False
    visible_drop: float | None = None

    @property
    def ratio(self) -> float:
        return self.now / self.before


@dataclass(frozen=True, slots=True)
class Anomalies:
    """found: the latest first, then those with the most downloads. tests: how many hours of groups
    were compared. weeks: the most that a baseline had; 0 where it was yesterday, None where there
    was none."""

    found: tuple[Anomaly, ...]
    tests: int
    weeks: int | None


class _Baseline(NamedTuple):
    """The hours that an hour is compared with: of so many weeks before, or 0 for yesterday."""

    hours: tuple[int, ...]
    weeks: int


class _Hour(NamedTuple):
    """One hour of a group, and its baseline of `hours` hours: of so many weeks, or of yesterday.

    now_count, before_count: downloads. now, before: what `Stats.pack` gave of them, one for each
    hour, since there may be many; nothing where the test needs only the counts.
    """

    group: Group
    hour: int
    hours: int
    weeks: int
    now_count: int
    before_count: int
    now: tuple[bytes, ...] = ()
    before: tuple[bytes, ...] = ()

    @property
    def expected(self) -> float:
        """Downloads of an hour of the baseline."""
        return self.before_count / self.hours


def find_anomalies(summaries: Summaries, start: int, end: int) -> Anomalies:
    """All anomalies in the hours from `start` to `end`, exclusive, since the epoch.

    Raises: FileError.
    """
    slow, missing = _Tests(Kind.SLOW), _Tests(Kind.MISSING)
    baselines = _baselines(summaries, start, end)
    looked_at = {*baselines}.union(*(baseline.hours for baseline in baselines.values()))
    smallest = min(_MIN_EXPECTED, MIN_COMPARED)
    for level in _LEVELS:
        for country, cell, counts in summaries.counts(level, looked_at, smallest):
            if level is Level.CELL_HOUR and not cell:  # no place: the same as its country
                continue
            hours = _hours(Group(country, cell), counts, baselines)
            _test_counts(hours, missing)
            _test_speeds(hours, slow, baselines, partial(summaries.packed, level, country, cell))
    found = [
        anomaly
        for tests in (slow, missing)
        for anomaly in _one_for_each_cause(tests.kind, tests.finds())
    ]
    found.sort(key=lambda one: (-one.until, -one.count, one.group))
    weeks = max((baseline.weeks for baseline in baselines.values()), default=None)
    return Anomalies(tuple(found), len(slow.probabilities) + len(missing.probabilities), weeks)


def _baselines(summaries: Summaries, start: int, end: int) -> dict[int, _Baseline]:
    """The hours that can be compared, in order, each with those to compare it with: hours in which
    there were downloads anywhere."""
    weekly = [WEEK * number for number in range(1, WEEKS + 1)]
    known = summaries.hours(start - weekly[-1], end)
    baselines = {}
    # Not each hour from start to end: those may be thousands of years apart.
    for hour in sorted({one + later for one in known for later in (DAY, *weekly)}):
        if start <= hour < end:
            before = tuple(hour - earlier for earlier in weekly if hour - earlier in known)
            baselines[hour] = _Baseline(before or (hour - DAY,), len(before))
    return baselines


def _hours(
    group: Group, counts: Mapping[int, int], baselines: Mapping[int, _Baseline]
) -> list[_Hour]:
    """The hours of a group that can be compared. counts: its downloads by hour."""
    get = counts.get
    return [
        _Hour(
            group,
            hour,
            len(baseline.hours),
            baseline.weeks,
            get(hour, 0),
            sum([get(at, 0) for at in baseline.hours]),
        )
        for hour, baseline in baselines.items()
    ]


def _test_counts(hours: Iterable[_Hour], tests: _Tests) -> None:
    """Test each of the hours of a group in which downloads can be missing."""
    for one in hours:
        if one.expected >= _MIN_EXPECTED:
            tests.add(one, _fewer_by_chance(one), one.now_count / one.expected)


def _test_speeds(
    hours: Iterable[_Hour],
    tests: _Tests,
    baselines: Mapping[int, _Baseline],
    read: Callable[[Iterable[int]], dict[int, bytes]],
) -> None:
    """Test each of the hours of a group that has enough speeds. read: what is packed of hours."""
    large = [one for one in hours if min(one.now_count, one.before_count) >= MIN_COMPARED]
    wanted = {at for one in large for at in (one.hour, *baselines[one.hour].hours)}
    packed = read(wanted) if wanted else {}
    speeds = {at: speeds_in(stats) for at, stats in packed.items()}
    for one in large:
        now, before = speeds[one.hour], Sketch()
        known = [at for at in baselines[one.hour].hours if at in packed]
        for at in known:
            before.merge(speeds[at])
        if now.count >= MIN_COMPARED and before.count >= MIN_COMPARED:
            probability = slower_by_chance(now, before)
            # Few of many: the ratio of the others does not matter.
            ratio = _ratio_of_medians(now, before) if probability <= FALSE_RATE else None
            of_known = tuple(packed[at] for at in known)
            tests.add(one._replace(now=(packed[one.hour],), before=of_known), probability, ratio)


class _Tests:
    """The tests of one kind. Of most, only the probability is kept."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.probabilities = array("d")
        self._candidates: dict[int, _Hour] = {}  # by number of the test

    def add(self, one: _Hour, probability: float, ratio: float | None) -> None:
        """Add the result of a test. ratio: of the hour to its baseline, if it is known."""
        largest = LARGEST_RATIO if self.kind is Kind.SLOW else LARGEST_VOLUME
        if probability <= FALSE_RATE and ratio is not None and ratio <= largest:
            self._candidates[len(self.probabilities)] = one
        self.probabilities.append(probability)

    def finds(self) -> list[_Hour]:
        """The hours that are no chance, and far enough below their baseline."""
        found = discoveries(self.probabilities)
        return [one for number, one in self._candidates.items() if found[number]]


def _fewer_by_chance(one: _Hour) -> float:
    """The probability of so few downloads, given those of the baseline: of all of them together,
    each falls into this hour with the same probability (the normal approximation)."""
    total = one.now_count + one.before_count
    share = 1 / (1 + one.hours)
    deviation = (one.now_count + 0.5 - total * share) / sqrt(total * share * (1 - share))
    return erfc(-deviation / sqrt(2)) / 2


def _ratio(kind: Kind, hours: Iterable[_Hour], without: Iterable[_Hour] = ()) -> float | None:
    """How far some hours of a group are below their baseline; None where there are too few
    downloads to say so. without: groups within it that are left out."""
    if kind is Kind.MISSING:
        count = sum(one.now_count for one in hours) - sum(one.now_count for one in without)
        expected = sum(one.expected for one in hours) - sum(one.expected for one in without)
        return count / expected if expected >= _MIN_EXPECTED else None
    now, before = Stats(), Stats()
    for sign, ones in ((1, hours), (-1, without)):
        for one in ones:
            _merge(now, one.now, sign)
            _merge(before, one.before, sign)
    slow, usual = now.speeds, before.speeds
    if slow.count < MIN_COMPARED or usual.count < MIN_COMPARED:
        return None
    return _ratio_of_medians(slow, usual)


def _ratio_of_medians(now: Sketch, before: Sketch) -> float | None:
    median, usual = now.quantile(0.5), before.quantile(0.5)
    return median / usual if median and usual else None


def _merge(stats: Stats, packed: Iterable[bytes], times: int = 1) -> None:
    for one in packed:
        stats.merge(Stats.unpack(one), times)


def _one_for_each_cause(kind: Kind, finds: Sequence[_Hour]) -> Iterator[Anomaly]:
    """Anomalies, each of one cause.

    Where a group is affected and groups within it are, it stands for them, if what is left without
    them is affected too, or is nearly nothing; otherwise they stand for themselves.
    """
    runs = _runs(finds)
    for outer in sorted(runs, key=lambda run: (run[0].group, run[0].hour)):
        if outer not in runs:  # a larger group stands for it
            continue
        inner = [run for run in runs if _within(run[0].group, outer[0].group) and _meet(run, outer)]
        if not inner:
            continue
        hours = {one.hour for one in outer}
        parts = [one for run in _outermost(inner) for one in run if one.hour in hours]
        rest = _ratio(kind, outer, without=parts)
        if rest is None or rest <= _UNAFFECTED:
            runs = [run for run in runs if run not in inner]
        else:
            runs.remove(outer)
    return map(_anomaly, [kind] * len(runs), runs)


def _runs(finds: Iterable[_Hour]) -> list[list[_Hour]]:
    """The hours of each group, with those together that follow each other."""
    by_group: dict[Group, list[_Hour]] = defaultdict(list)
    for one in finds:
        by_group[one.group].append(one)
    runs: list[list[_Hour]] = []
    for hours in by_group.values():
        hours.sort(key=lambda one: one.hour)
        runs.append([hours[0]])
        for one in hours[1:]:
            if one.hour - runs[-1][-1].hour > _GAP + 1:
                runs.append([])
            runs[-1].append(one)
    return runs


def _outermost(runs: Sequence[list[_Hour]]) -> list[list[_Hour]]:
    """The runs of groups that are within no other of these at the same time."""
    return [
        run
        for run in runs
        if not any(_within(run[0].group, one[0].group) and _meet(run, one) for one in runs)
    ]


def _within(group: Group, outer: Group) -> bool:
    """Whether a group is a part of another one."""
    if group == outer or outer.cell:
        return False
    return not outer.country or group.country == outer.country


def _meet(one: Sequence[_Hour], other: Sequence[_Hour]) -> bool:
    """Whether two runs are at the same time."""
    return one[0].hour <= other[-1].hour and other[0].hour <= one[-1].hour


def _anomaly(kind: Kind, run: Sequence[_Hour]) -> Anomaly:
    first, last = run[0], run[-1]
    count = sum(one.now_count for one in run)
    if kind is Kind.MISSING:
        values = (count / len(run), sum(one.expected for one in run) / len(run))
        only_mix, visible_drop = False, None
    else:
        now, before, drops = Stats(), Stats(), []
        for one in run:
            hour = Stats()
            _merge(hour, one.now)
            drops.append(smallest_visible_drop(hour.speeds))
            now.merge(hour)
            _merge(before, one.before)
        values = (now.speeds.quantile(0.5) or 0.0, before.speeds.quantile(0.5) or 0.0)
        mixed = median_of_shares(now.mixed_speeds(before.mix()))
        only_mix = mixed is not None and mixed > LARGEST_RATIO * values[1]
        visible_drop = min((drop for drop in drops if drop is not None), default=None)
    return Anomaly(
        kind=kind,
        group=first.group,
        since=first.hour,
        until=last.hour + 1,
        now=values[0],
        before=values[1],
        count=count,
        weeks=min(one.weeks for one in run),
        only_mix=only_mix,
        visible_drop=visible_drop,
    )
