"""Answer questions about the stored events, from summaries that follow the store."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from dlmon.analysis import server_side
from dlmon.analysis.anomalies import Anomalies, find_anomalies
from dlmon.analysis.hours import FIRST_HOUR, HOUR, LAST_HOUR, hour_of
from dlmon.analysis.levels import Summary
from dlmon.analysis.report import Answer, By, Question, answer, answer_exactly, read_matching
from dlmon.analysis.speed_map import SpeedMap, speed_map
from dlmon.analysis.summaries import Progress, Summaries
from dlmon.config.paths import data_file
from dlmon.config.urls import StoreAddress
from dlmon.errors import Interrupted
from dlmon.runtime.stop import Stop
from dlmon.stores.reading import EventReader, Sample, SqlReader, StoreReader

_READ = 10_000  # events at a time


@dataclass(frozen=True, slots=True)
class Report:
    """answer: to the question. first, last: the hours, since the epoch, between which the store had
    downloads; None without any, and where only events were read. speeds: a map, if it was asked
    for. countries: the same downloads by country, if they were."""

    answer: Answer
    first: int | None = None
    last: int | None = None
    speeds: SpeedMap | None = None
    countries: Answer | None = None


def summaries_file(store: StoreAddress) -> Path:
    """Where the summaries of a store are: beside a SQLite file, else in the user's data folder.

    Raises: SettingsError.
    """
    if store.url.startswith("sqlite:"):
        return store.path.with_name(f"{store.path.stem}.summaries.db")
    digest = hashlib.sha256(store.place.encode()).hexdigest()
    return data_file(f"summaries-{digest[:16]}.db")


def report(
    question: Question,
    reader: StoreReader,
    summaries: Summaries,
    stop: Stop,
    *,
    on_progress: Progress = lambda _done, _total: None,
    map_size: tuple[int, int] | None = None,
    with_countries: bool = False,
) -> Report:
    """Summarise what was stored since the last time, and answer.

    map_size: columns and rows of a map, if one is wanted. with_countries: answer by country too.

    Raises: FileError, StoreUnavailable, Interrupted.
    """
    follow(reader, summaries, stop, on_progress)
    return report_so_far(question, summaries, map_size=map_size, with_countries=with_countries)


def report_so_far(
    question: Question,
    summaries: Summaries,
    *,
    map_size: tuple[int, int] | None = None,
    with_countries: bool = False,
) -> Report:
    """Answer from what is summarised already. map_size, with_countries: as of `report`.

    Raises: FileError.
    """
    with summaries.snapshot():
        return _report(
            question,
            partial(read_matching, summaries=summaries),
            summaries.span(),
            map_size=map_size,
            with_countries=with_countries,
        )


def report_by_server(
    question: Question,
    reader: SqlReader,
    stop: Stop,
    *,
    map_size: tuple[int, int] | None = None,
    with_countries: bool = False,
) -> Report:
    """Answer by what the server of the store counts. map_size, with_countries: as of `report`.

    Raises: StoreUnavailable, Interrupted.
    """

    def matching(question: Question) -> Iterator[Summary]:
        for summary in server_side.read_matching(question, reader):
            if stop.requested:
                raise Interrupted("Stopped before the server had answered.")
            yield summary

    span = server_side.read_span(reader, FIRST_HOUR, LAST_HOUR + 1)
    return _report(question, matching, span, map_size=map_size, with_countries=with_countries)


def _report(
    question: Question,
    matching: Callable[[Question], Iterator[Summary]],
    span: tuple[int, int] | None,
    *,
    map_size: tuple[int, int] | None,
    with_countries: bool,
) -> Report:
    """matching: the summaries that a question is about."""
    first, last = span or (None, None)
    speeds = countries = None
    if map_size is not None:
        speeds = speed_map(question, matching(replace(question, by=By.CELL)), *map_size)
    if with_countries:
        by_country = replace(question, by=By.COUNTRY)
        countries = answer(by_country, matching(by_country))
    return Report(answer(question, matching(question)), first, last, speeds, countries)


@dataclass(frozen=True, slots=True)
class AnomalyReport:
    """The anomalies in the hours from `start` to `end`, exclusive, since the epoch."""

    anomalies: Anomalies
    start: int
    end: int


def report_anomalies(
    question: Question,
    reader: StoreReader,
    summaries: Summaries,
    stop: Stop,
    on_progress: Progress = lambda _done, _total: None,
) -> AnomalyReport:
    """Summarise what was stored since the last time, and look for anomalies in the hours of a
    question that are over: of the present one, downloads are still to come.

    Raises: FileError, StoreUnavailable, Interrupted.
    """
    follow(reader, summaries, stop, on_progress)
    return anomalies_so_far(question, summaries)


def anomalies_so_far(question: Question, summaries: Summaries) -> AnomalyReport:
    """Look for anomalies in what is summarised already.

    Raises: FileError.
    """
    end = min(question.end, hour_of(time.time_ns() // 1_000_000))
    with summaries.snapshot():
        return AnomalyReport(find_anomalies(summaries, question.start, end), question.start, end)


def report_exactly(question: Question, reader: EventReader, stop: Stop) -> Report:
    """Answer from the events themselves.

    Raises: StoreUnavailable, Interrupted.
    """

    def batches() -> Iterator[list[Sample]]:
        for samples in reader.read_between(question.start * HOUR, question.end * HOUR, _READ):
            if stop.requested:
                raise Interrupted("Stopped before all events were read.")
            yield samples

    return Report(answer_exactly(question, batches()))


def follow(reader: StoreReader, summaries: Summaries, stop: Stop, on_progress: Progress) -> None:
    """Summarise what was stored since the last time.

    Raises: FileError, StoreUnavailable, Interrupted.
    """
    summaries.follow(reader, stop, on_progress)
    if stop.requested:
        raise Interrupted(
            "Stopped before all events were summarised; the next report goes on from there."
        )
