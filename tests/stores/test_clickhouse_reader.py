"""Reports of what is in ClickHouse: the same numbers as from SQLite."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import pytest

from dlmon.analysis.hours import HOUR
from dlmon.analysis.report import Answer, By, Row
from dlmon.analysis.speed_map import SpeedMap
from dlmon.analysis.summaries import Summaries
from dlmon.commands.report import report, report_by_server, report_exactly
from dlmon.errors import Interrupted, StoreUnavailable
from dlmon.runtime.stop import Stop
from dlmon.stores.clickhouse import ClickhouseReader
from dlmon.stores.sqlite_reader import SqliteReader
from tests.support.clickhouse import Engine
from tests.unit.analysis.stores import EPOCH, NOON, Download, Events, everything

PLACES = [(53.35, -6.26), (51.9, -8.47), (40.7, -74.0), (-90.0, -180.0), (90.0, 180.0), (0.0, 0.0)]
SPEEDS = [0.0, 0.001, 0.0011, -3.0, 5e9, 2e10]
SIZES = [-5, 0, 1, 99_999, 100_000, 10**7, 10**14]


def downloads(count: int) -> list[Download]:
    """Of three days, at some places that many have and at others, with all that is extreme."""
    chance = random.Random(7)
    made = [
        Download(
            NOON + timedelta(hours=chance.randrange(-36, 36), microseconds=chance.randrange(10**9)),
            *(random_place(chance) if is_odd(chance) else chance.choice(PLACES)),
            size=chance.choice(SIZES) if is_odd(chance) else int(chance.lognormvariate(15, 2)),
            speed=chance.choice(SPEEDS) if is_odd(chance) else chance.lognormvariate(3, 1),
        )
        for _ in range(count)
    ]
    times = (datetime(1900, 1, 1, tzinfo=UTC), datetime(2299, 12, 31, 23, 59, 59, 999_999, UTC))
    return [
        *made,
        *(Download(at) for at in times),
        Download(datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC)),
        Download(latitude=91.0),
        Download(longitude=-180.1),
    ]


def is_odd(chance: random.Random) -> bool:
    return chance.random() < 0.05


def random_place(chance: random.Random) -> tuple[float, float]:
    return chance.uniform(-90, 90), chance.uniform(-180, 180)


@pytest.fixture
def events(tmp_path: Path, engine: Engine) -> Events:
    """The same downloads in SQLite and in ClickHouse, where some were stored twice."""
    events = Events(tmp_path / "events.db")
    made = downloads(1_500)
    events.add(*made)
    with engine.open() as store:
        store.write([one.entry() for one in made])
        store.write([one.entry() for one in made[:100]])
    return events


@pytest.fixture
def reader(engine: Engine, events: Events) -> Iterator[ClickhouseReader]:
    with engine.read() as reader:
        yield reader


def rows_alike(one: Row, other: Row) -> bool:
    """All counts are the same, and what is measured is at most one bucket off."""

    def rounded(row: Row) -> Row:
        return replace(row, p10=None, p50=None, p90=None, below=None, size=None)

    def floats(row: Row) -> list[float]:
        return [value or 0.0 for value in (row.p10, row.p50, row.p90, row.below, row.size)]

    return rounded(one) == rounded(other) and floats(one) == pytest.approx(floats(other), rel=0.051)


def assert_alike(one: Answer, other: Answer) -> None:
    assert (one.question, one.hidden) == (other.question, other.hidden)
    for mine, theirs in zip((*one.rows, one.total), (*other.rows, other.total), strict=True):
        assert rows_alike(mine, theirs), (mine, theirs)


def counts(speeds: SpeedMap | None) -> dict[tuple[int, int], int]:
    assert speeds is not None
    return {place: tile.count for place, tile in speeds.tiles.items()}


def test_the_server_answers_as_summaries_do(events: Events, reader: ClickhouseReader) -> None:
    wheres = ((), ("country=IE",), ("continent=EU",), ("cell=gc",), ("country=XZ", "cell=e"))
    with SqliteReader(events.path) as sqlite, Summaries(events.summaries) as summaries:
        for where, by in product(wheres, By):
            question = everything(by, *where, threshold=20.0)
            expected = report(question, sqlite, summaries, Stop())
            found = report_by_server(question, reader, Stop())
            assert_alike(found.answer, expected.answer)
            assert (found.first, found.last) == (expected.first, expected.last)


def test_a_map_and_countries_come_with_the_answer(events: Events, reader: ClickhouseReader) -> None:
    question = everything("hour", "continent=EU")
    with SqliteReader(events.path) as sqlite, Summaries(events.summaries) as summaries:
        expected = report(
            question, sqlite, summaries, Stop(), map_size=(36, 10), with_countries=True
        )
    found = report_by_server(question, reader, Stop(), map_size=(36, 10), with_countries=True)
    assert counts(found.speeds) == counts(expected.speeds)
    assert found.countries is not None
    assert expected.countries is not None
    assert_alike(found.countries, expected.countries)


def test_downloads_that_are_nowhere_are_counted(events: Events, reader: ClickhouseReader) -> None:
    question = everything("cell", "country=ZZ", min_count=1)
    answered = report_by_server(question, reader, Stop()).answer
    assert [(row.key, row.count) for row in answered.rows] == [("", 2)]
    assert_alike(answered, events.ask(question))


def test_a_part_of_the_time_is_counted_to_the_hour(
    events: Events, reader: ClickhouseReader
) -> None:
    hour = (NOON - EPOCH) // timedelta(hours=1)
    for by in By:
        question = replace(everything(by), start=hour - 20, end=hour + 7)
        assert_alike(report_by_server(question, reader, Stop()).answer, events.ask(question))


def test_the_events_themselves_are_read_once_each(events: Events, reader: ClickhouseReader) -> None:
    question = everything("country")
    assert report_exactly(question, reader, Stop()).answer == events.ask_exactly(question)
    bounds = (question.start * HOUR, question.end * HOUR)
    with SqliteReader(events.path) as sqlite:
        expected = {one for some in sqlite.read_events(*bounds, 500) for one in some}
    found = [*reader.read_events(*bounds, 500)]
    assert max(map(len, found)) == 500
    assert {one for some in found for one in some} == expected
    assert sum(map(len, found)) == len(expected)


def test_an_empty_store_has_no_rows(engine: Engine) -> None:
    engine.open().close()
    with engine.read() as reader:
        answered = report_by_server(everything("hour"), reader, Stop())
    assert (answered.answer.rows, answered.answer.total.count) == ((), 0)
    assert answered.first is None


def test_a_stop_ends_a_report(reader: ClickhouseReader) -> None:
    stop = Stop()
    stop.request()
    with pytest.raises(Interrupted):
        report_by_server(everything("hour"), reader, stop)


def test_a_database_without_the_table_says_what_is_missing(engine: Engine) -> None:
    with pytest.raises(StoreUnavailable, match="no table dlmon_events that this user may read"):
        engine.read()


def test_a_table_that_goes_meanwhile_is_unavailable(
    engine: Engine, reader: ClickhouseReader
) -> None:
    engine.client.command("DROP TABLE dlmon_events")
    with pytest.raises(StoreUnavailable, match="dlmon_events"):
        report_by_server(everything("hour"), reader, Stop())
