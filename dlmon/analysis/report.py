"""Questions about downloads, and their answers: what `dlmon report` and the page show.

Everything here is a value. Hours are whole hours in UTC: a question about a part of one is answered
for all of it.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from dlmon.analysis.exact import ExactStats
from dlmon.analysis.geography import CONTINENTS, NOWHERE, world
from dlmon.analysis.hours import DAY, HOUR, format_hour
from dlmon.analysis.levels import Level, Summary
from dlmon.analysis.stats import SIZE_BOUNDS, SIZE_NAMES, Stats
from dlmon.analysis.summaries import Summaries
from dlmon.stores.reading import Sample

MIN_PERCENTILE = 30
"""Downloads below which no percentile is given."""

MIN_COUNT = 5
"""Downloads below which a cell is not shown: a cell is somebody's street."""


class By(StrEnum):
    """What the downloads are grouped by."""

    HOUR = "hour"
    DAY = "day"
    COUNTRY = "country"
    CONTINENT = "continent"
    CELL = "cell"
    SIZE = "size"


@dataclass(frozen=True, slots=True)
class Where:
    """Which downloads count; what is None does not matter.

    country: a key of `World.names`, as ISO 3166-1 has them (alpha-2). continent: a key of
    `CONTINENTS`. cell: a geohash, or the beginning of several.
    """

    country: str | None = None
    continent: str | None = None
    cell: str | None = None

    def countries(self) -> Set[str] | None:
        """The codes of the countries that count; None for all."""
        if self.country is None and self.continent is None:
            return None
        return {
            code
            for code, continent in world().continents.items()
            if self.country in (None, code) and self.continent in (None, continent)
        }


@dataclass(frozen=True, slots=True)
class Question:
    """start, end: hours since the epoch, the end is exclusive. threshold: Mbit/s, for the share of
    slower downloads. min_count: downloads that a cell must have to be shown."""

    start: int
    end: int
    by: By
    where: Where = Where()
    threshold: float | None = None
    min_count: int = MIN_COUNT


@dataclass(frozen=True, slots=True)
class Row:
    """The downloads of a group.

    key: the hour or the day as hours since the epoch, the code of the country or of the continent,
    the cell, or the number of the class of size. label: the key in words. volume: bytes. measured:
    how many speeds count, the others are of small files or 0. p10, p50, p90: Mbit/s. below: the
    share (0 to 1) of speeds below the threshold. size: the median in bytes. Percentiles and shares
    of fewer than `MIN_PERCENTILE` downloads are None.
    """

    key: int | str
    label: str
    count: int
    volume: int
    measured: int
    p10: float | None
    p50: float | None
    p90: float | None
    below: float | None
    size: float | None


@dataclass(frozen=True, slots=True)
class Answer:
    """rows: in the order of time or of size, else the largest first. total: of everything that the
    question is about, also of what is not shown. hidden: cells with too few downloads. exact:
    whether percentiles are those of the events themselves."""

    question: Question
    rows: tuple[Row, ...]
    total: Row
    hidden: int = 0
    exact: bool = False


class _Distribution(Protocol):
    @property
    def count(self) -> int: ...
    def quantile(self, share: float, /) -> float | None: ...
    def below(self, value: float, /) -> float | None: ...


class _Numbers(Protocol):
    @property
    def count(self) -> int: ...
    @property
    def volume(self) -> int: ...
    @property
    def speeds(self) -> _Distribution: ...
    @property
    def sizes(self) -> _Distribution: ...


def answer(question: Question, matching: Iterable[Summary]) -> Answer:
    """Answer from the summaries that the question is about, in the order of hours."""
    groups: dict[int | str, Stats] = {}
    rows: list[Row] = []
    total = Stats()
    for summary in matching:
        total.merge(summary.stats)
        for key, stats in _parts(question.by, summary):
            if question.by in (By.HOUR, By.DAY) and key not in groups:
                # What was before is complete: a month of hours would take 40 MB.
                rows += _rows(question, groups)
                groups.clear()
            if key in groups:
                groups[key].merge(stats)
            else:
                groups[key] = Stats(dict(stats.counts))
    rows += _rows(question, groups)
    return _arranged(question, rows, _row(question, "all", "", total))


def answer_exactly(question: Question, batches: Iterable[Iterable[Sample]]) -> Answer:
    """Answer from events; those of other hours do not count.

    Every count and every sum is the same as from summaries, and every percentile is that of the
    events. It needs up to 32 bytes of memory for an event.
    """
    groups: dict[int | str, ExactStats] = {}
    countries, cell = question.where.countries(), question.where.cell or ""
    geography = world()
    for samples in batches:
        for sample in samples:
            hour = sample.at // HOUR
            if not question.start <= hour < question.end:
                continue
            place = geography.place_of(sample.latitude, sample.longitude)
            country, name = geography.names_of(place)
            if (countries is not None and country not in countries) or not name.startswith(cell):
                continue
            key = _key(question.by, hour, country, name)
            if key is None:
                key = bisect(SIZE_BOUNDS, sample.file_size)
            if key not in groups:
                groups[key] = ExactStats()
            groups[key].add(sample)
    total = ExactStats()
    total.merge(groups.values())
    return _arranged(
        question, _rows(question, groups), _row(question, "all", "", total), exact=True
    )


def read_matching(question: Question, summaries: Summaries) -> Iterator[Summary]:
    """The summaries that a question is about, in the order of hours, of the coarsest level that can
    answer it: whole days by the day, where there are.

    Raises: FileError.
    """
    where = question.where
    countries = where.countries()
    if question.by is By.CELL or where.cell:
        hourly, daily = Level.CELL_HOUR, Level.CELL_DAY
    elif question.by in (By.COUNTRY, By.CONTINENT) or countries is not None:
        hourly, daily = Level.COUNTRY_HOUR, Level.COUNTRY_DAY
    else:
        yield from summaries.read(Level.WORLD_HOUR, question.start, question.end)
        return
    first_day = -(-question.start // DAY) * DAY
    last_day = question.end // DAY * DAY
    if question.by is By.HOUR or first_day >= last_day:
        yield from summaries.read(hourly, question.start, question.end, countries, where.cell)
        return
    for level, start, end in (
        (hourly, question.start, first_day),
        (daily, first_day, last_day),
        (hourly, last_day, question.end),
    ):
        yield from summaries.read(level, start, end, countries, where.cell)


def _arranged(
    question: Question, rows: Iterable[Row], total: Row, *, exact: bool = False
) -> Answer:
    """The answer without what must not be shown, in its order."""
    found = [*rows]
    shown = found
    if question.by is By.CELL:
        shown = [row for row in found if row.count >= question.min_count]
    if question.by in (By.HOUR, By.DAY, By.SIZE):
        shown = sorted(shown, key=lambda row: row.key)
    else:
        shown = sorted(shown, key=lambda row: (-row.count, row.key))
    return Answer(question, tuple(shown), total, len(found) - len(shown), exact)


def _parts(by: By, summary: Summary) -> Iterable[tuple[int | str, Stats]]:
    key = _key(by, summary.hour, summary.country, summary.cell)
    return summary.stats.by_size().items() if key is None else ((key, summary.stats),)


def _key(by: By, hour: int, country: str, cell: str) -> int | str | None:
    """The key of the row that these downloads belong to; None where that depends on their size."""
    match by:
        case By.HOUR:
            return hour
        case By.DAY:
            return hour // DAY * DAY
        case By.COUNTRY:
            return country
        case By.CONTINENT:
            return world().continents[country]
        case By.CELL:
            return cell
        case _:
            return None


def _rows(question: Question, groups: Mapping[int | str, _Numbers]) -> list[Row]:
    return [_row(question, _label(question.by, key), key, group) for key, group in groups.items()]


def _row(question: Question, label: str, key: int | str, numbers: _Numbers) -> Row:
    count, speeds = numbers.count, numbers.speeds
    measured = speeds.count
    known = measured >= MIN_PERCENTILE
    threshold = question.threshold
    return Row(
        key=key,
        label=label,
        count=count,
        volume=numbers.volume,
        measured=measured,
        p10=speeds.quantile(0.1) if known else None,
        p50=speeds.quantile(0.5) if known else None,
        p90=speeds.quantile(0.9) if known else None,
        below=speeds.below(threshold) if known and threshold is not None else None,
        size=numbers.sizes.quantile(0.5) if count >= MIN_PERCENTILE else None,
    )


def _label(by: By, key: int | str) -> str:
    if isinstance(key, int):
        if by is By.SIZE:
            return SIZE_NAMES[key]
        text = format_hour(key)
        return text[:10] if by is By.DAY else text
    if by is By.COUNTRY:
        return world().names[key]
    if by is By.CONTINENT:
        return CONTINENTS[key]
    return key or CONTINENTS[NOWHERE]
