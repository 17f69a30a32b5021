"""Answers from summaries and from events, against a slow computation of every number."""

from __future__ import annotations

import tempfile
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlmon.analysis.questions import make_question
from dlmon.analysis.report import MIN_PERCENTILE, Answer, By, Row
from dlmon.errors import UsageError
from tests.unit.analysis.stores import (
    NOON,
    Download,
    Events,
    everything,
    expected,
    percentile,
)

_PLACES = st.sampled_from(
    [
        (53.35, -6.26),
        (53.4, -6.3),
        (0.0, 0.0),
        (90.0, 180.0),
        (-90.0, -180.0),
        (-16.8, 179.99),
        (-16.8, -179.99),
        (40.4, -3.7),
    ]
) | st.tuples(st.floats(-90, 90), st.floats(-180, 180))
_TIMES = st.sampled_from(
    [
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    ]
) | st.builds(lambda minutes: NOON + timedelta(minutes=minutes), st.integers(-5000, 5000))
_DOWNLOADS = st.lists(
    st.builds(
        lambda at, place, size, speed, times: (
            Download(at, place[0], place[1], size, speed),
            times,
        ),
        _TIMES,
        _PLACES,
        st.sampled_from([0, 99_999, 100_000, 999_999, 10**7, 10**12]) | st.integers(0, 10**9),
        st.sampled_from([0.0, 0.001, 1e9]) | st.floats(0, 1000),
        st.integers(1, 40),
    ),
    max_size=12,
)


def repeated(drawn: list[tuple[Download, int]]) -> list[Download]:
    """So many events of each, with speeds and sizes of their own."""
    return [
        Download(
            one.at, one.latitude, one.longitude, one.size + number, one.speed * (1 + number / 7)
        )
        for one, times in drawn
        for number in range(times)
    ]


@settings(max_examples=15, deadline=None)
@given(_DOWNLOADS)
def test_every_number_is_that_of_a_slow_computation(drawn: list[tuple[Download, int]]) -> None:
    downloads = repeated(drawn)
    with tempfile.TemporaryDirectory() as folder:
        events = Events(Path(folder) / "events.db")
        events.add(*downloads)
        for by in By:
            question = everything(by, threshold=10.0, min_count=1)
            _check(events.ask(question), downloads, error=0.0257)
            _check(events.ask_exactly(question), downloads, error=0.0)


def _check(answer: Answer, downloads: list[Download], error: float) -> None:
    rows = expected(downloads, answer.question.by)
    assert {row.key for row in answer.rows} == rows.keys()
    assert answer.total.count == len(downloads)
    assert answer.total.volume == sum(one.size for one in downloads)
    for row in answer.rows:
        slow = rows[row.key]
        assert (row.count, row.volume, row.measured) == (
            slow.count,
            slow.volume,
            len(slow.speeds),
        )
        if row.measured < MIN_PERCENTILE:
            assert (row.p10, row.p50, row.p90, row.below) == (None,) * 4
        else:
            for found, share in ((row.p10, 0.1), (row.p50, 0.5), (row.p90, 0.9)):
                assert found == pytest.approx(percentile(slow.speeds, share), rel=error, abs=0)
            assert row.below is not None
            low = sum(speed < 10 / (1 + 2 * error) for speed in slow.speeds)
            high = sum(speed < 10 * (1 + 2 * error) for speed in slow.speeds)
            assert low - 1e-6 <= row.below * row.measured <= high + 1e-6
        if row.count < MIN_PERCENTILE:
            assert row.size is None
        else:
            assert row.size == pytest.approx(percentile(slow.sizes, 0.5), rel=error, abs=0.001)


def keys(answer: Answer) -> list[int | str]:
    return [row.key for row in answer.rows]


def test_downloads_at_sea_are_a_country_and_a_continent_of_their_own(events: Events) -> None:
    events.add(Download(), Download(), Download(latitude=0, longitude=0))
    for by, names in (("country", ["Ireland", "at sea"]), ("continent", ["Europe", "at sea"])):
        answer = events.ask(everything(by))
        assert [(row.label, row.count) for row in answer.rows] == [(names[0], 2), (names[1], 1)]
    assert events.ask(everything("hour", "country=XZ")).total.count == 1
    assert events.ask(everything("hour", "continent=at sea")).total.count == 1
    assert events.ask(everything("hour")).total.count == 3


def test_a_store_of_another_schema_may_have_places_sizes_and_speeds_that_are_none(
    events: Events,
) -> None:
    events.add(
        Download(latitude=91.0),
        Download(longitude=-1e300),
        Download(size=-5, speed=-1.0),
        Download(),
    )
    for ask in (events.ask, events.ask_exactly):
        answer = ask(everything("country"))
        assert {row.label: row.count for row in answer.rows} == {"Ireland": 2, "no place": 2}
        assert answer.total.volume == 3_000_000
        assert answer.total.measured == 3
        assert [row.label for row in ask(everything("cell", min_count=1)).rows] == [
            "no place",
            "gc7x",
        ]


@pytest.mark.parametrize("by", By)
@pytest.mark.parametrize(
    ("where", "count"),
    [
        (("country=IE",), 12),
        (("country=es",), 6),
        (("continent=Europe",), 18),
        (("cell=gc",), 12),
        (("cell=gc7x", "country=Ireland"), 12),
        (("cell=gc7x", "country=ES"), 0),
        (("continent=AS",), 0),
    ],
)
def test_only_downloads_of_a_place_count(
    events: Events, by: str, where: tuple[str, ...], count: int
) -> None:
    days = [NOON + timedelta(hours=hours) for hours in (0, 11, 12, 25, 60, 61)]
    events.add(
        *(Download(at=at) for at in days),
        *(Download(at=at) for at in days),
        *(Download(at=at, latitude=40.4, longitude=-3.7) for at in days),
    )
    question = everything(by, *where)
    for answer in (events.ask(question), events.ask_exactly(question)):
        assert sum(row.count for row in answer.rows) == answer.total.count == count


def test_hours_at_both_ends_count_as_a_whole_and_no_others(events: Events) -> None:
    events.add(*(Download(at=NOON + timedelta(hours=hours)) for hours in range(-80, 80)))
    for by in By:
        question = make_question("2026-02-28T10:59:00Z", "2026-03-02T15:01:00Z", by)
        for answer in (events.ask(question), events.ask_exactly(question)):
            assert sum(row.count for row in answer.rows) == answer.total.count == 24 + 14 + 16


def test_hours_are_those_of_utc_where_clocks_change(
    events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The day on which clocks in Dublin go back has 25 hours there, and 01:30 twice."""
    monkeypatch.setenv("TZ", "Europe/Dublin")
    time.tzset()
    try:
        summer, winter = (timezone(timedelta(hours=hours)) for hours in (1, 0))
        twice = [datetime(2026, 10, 25, 1, 30, tzinfo=zone) for zone in (summer, winter)]
        events.add(*(Download(at=at) for at in twice))
        for ask in (events.ask, events.ask_exactly):
            rows = ask(make_question("2026-10-25", "2026-10-26", "hour")).rows
            assert [row.label for row in rows] == ["2026-10-25T00:00Z", "2026-10-25T01:00Z"]
            (day,) = ask(make_question("2026-10-25", "2026-10-26", "day")).rows
            assert day.count == 2
    finally:
        monkeypatch.undo()
        time.tzset()


def test_cells_of_few_downloads_are_counted_and_not_shown(events: Events) -> None:
    madrid = [Download(latitude=40.4, longitude=-3.7) for _ in range(4)]
    events.add(*(Download() for _ in range(5)), *madrid)
    for ask in (events.ask, events.ask_exactly):
        answer = ask(everything("cell"))
        assert (keys(answer), answer.hidden, answer.total.count) == (["gc7x"], 1, 9)
        assert ask(everything("cell", min_count=4)).hidden == 0
        assert len(ask(everything("country")).rows) == 2


def test_an_hour_with_one_event_has_a_count_and_no_percentile(events: Events) -> None:
    events.add(Download())
    (row,) = events.ask(everything("hour", threshold=1.0)).rows
    assert row == Row(row.key, "2026-03-01T12:00Z", 1, 1_000_000, 1, None, None, None, None, None)


def test_an_empty_store_has_no_rows(events: Events) -> None:
    events.add()
    for ask in (events.ask, events.ask_exactly):
        answer = ask(everything("hour"))
        assert (answer.rows, answer.total.count) == ((), 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("yesterday", None, "hour"), "--since: expected such as 24h"),
        (("24h", "2026-13-01", "hour"), "--until: expected such as 24h"),
        (("1h", "2h", "hour"), "--since has to be before --until"),
        (("24h", None, "city"), "--by: expected one of hour, day"),
        (("24h", None, "hour", ["IE"]), "--where: expected country=IE"),
        (("24h", None, "hour", ["country=Atlantis"]), "--where country: expected IE or Ireland"),
        (("24h", None, "hour", ["continent=Mu"]), "--where continent: expected one of AF, AN"),
        (("24h", None, "hour", ["cell=abc"]), "--where cell: expected a geohash"),
        (("24h", None, "hour", ["cell=gc7x0"]), "--where cell: expected 1 to 4 characters"),
        (("24h", None, "hour", ["cell="]), "--where cell: expected 1 to 4 characters"),
        (("24h", None, "hour", ["cell=g", "cell=g"]), "--where cell can be given once"),
    ],
)
def test_what_is_no_question_is_refused_with_what_would_be(
    arguments: tuple[str, ...], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        make_question(*arguments)
