"""The schedule, by a clock that the test sets."""

from __future__ import annotations

import math
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlmon.runtime.stop import Stop
from dlmon.sources.pacing import SLACK, TICK, Pace
from tests.support.clock import Clock

EVERYTHING = sys.maxsize
rates = st.floats(0.01, 100_000)
short_waits = st.floats(0, SLACK * 0.99)
starts = st.floats(0, 1e8)


def take(pace: Pace, limit: int = EVERYTHING) -> int:
    due = pace.due(limit)
    pace.take(due)
    return due


@given(rate=rates, start=starts, waits=st.lists(short_waits, max_size=200))
def test_the_rate_is_exact_however_unevenly_it_is_asked(
    rate: float, start: float, waits: list[float]
) -> None:
    clock = Clock(start)
    pace = Pace(rate, clock=clock)
    taken = take(pace)
    for wait in waits:
        clock.now += wait
        taken += take(pace)
        # The event before this moment's, give or take what the clock cannot tell.
        blur = 1e-6 + rate * 4 * math.ulp(clock.now)
        exact = (clock.now - start) * rate + 1
        assert exact - 1 - blur <= taken <= exact + blur


@given(rate=rates, waits=st.lists(st.floats(0, 100), max_size=100))
def test_no_stretch_of_time_has_more_than_its_share_and_the_slack(
    rate: float, waits: list[float]
) -> None:
    clock = Clock()
    pace = Pace(rate, clock=clock)
    taken = [(clock.now, take(pace))]
    for wait in waits:
        clock.now += wait
        taken.append((clock.now, take(pace)))
    for first, (since, _) in enumerate(taken):
        count = 0
        for until, more in taken[first:]:
            count += more
            assert count <= rate * (until - since) + max(rate * SLACK, 1) + 1 + 1e-3


@given(rate=rates, stall=st.floats(0.01, 1e6))
def test_after_a_stall_the_schedule_goes_on_from_there(rate: float, stall: float) -> None:
    clock = Clock()
    pace = Pace(rate, clock=clock)
    take(pace)
    clock.now += 1 / rate + max(SLACK, 1 / rate) + stall
    assert take(pace) == 1
    clock.now += 0.98 / rate
    assert take(pace) == 0
    clock.now += 0.04 / rate
    assert take(pace) == 1


def test_at_low_rates_one_late_event_does_not_move_the_others() -> None:
    clock = Clock()
    pace = Pace(0.5, clock=clock)
    assert take(pace) == 1
    clock.now += 3.0  # one second late
    assert take(pace) == 1
    clock.now += 0.99
    assert take(pace) == 0
    clock.now += 0.02
    assert take(pace) == 1


@given(
    rate=st.floats(0.1, 20_000),
    duration=st.floats(0.01, 2),
    limit=st.integers(1_000, 10_000),
    waits=st.lists(st.floats(0.01, SLACK * 0.9), min_size=200, max_size=200),
)
def test_a_duration_has_exactly_its_events(
    rate: float, duration: float, limit: int, waits: list[float]
) -> None:
    clock = Clock()
    pace = Pace(rate, duration, clock)
    taken = 0
    for wait in waits:
        while few := take(pace, limit):
            taken += few
        clock.now += wait
    assert pace.over
    assert rate * duration - 1e-6 <= taken < rate * duration + 1 + 1e-6


@pytest.mark.parametrize(
    ("rate", "duration", "count"),
    [(1_000, 10, 10_000), (10, 0.3, 3), (0.1, 30, 3), (3, 1, 3), (0.7, 10, 7), (10, 0.01, 1)],
)
def test_round_numbers_come_out_round(rate: float, duration: float, count: int) -> None:
    clock = Clock(123_456.789)
    pace = Pace(rate, duration, clock)
    taken = 0
    while not pace.over:
        taken += take(pace)
        clock.now += 0.0137
    assert taken + take(pace) == count
    assert take(pace) == 0


def test_a_stall_over_the_end_leaves_nothing_to_send() -> None:
    clock = Clock()
    pace = Pace(100, 5.0, clock)
    take(pace)
    clock.now += 60
    assert pace.over
    assert take(pace) == 0


def test_what_is_due_waits_for_events_for_no_longer_than_the_slack() -> None:
    clock = Clock()
    pace = Pace(100, clock=clock)
    take(pace)
    for _ in range(100):
        clock.now += 0.1
        assert 1 <= pace.due(EVERYTHING) <= 100 * SLACK + 1


def test_the_limit_keeps_the_rest_for_later() -> None:
    clock = Clock()
    pace = Pace(1_000, clock=clock)
    take(pace)
    clock.now += 0.1
    assert [take(pace, 60), take(pace, 60), take(pace, 60)] == [60, 40, 0]


def test_rate_0_knows_only_the_limit_and_the_duration() -> None:
    clock = Clock()
    pace = Pace(0, 2.0, clock)
    assert [take(pace, 7), take(pace, 7)] == [7, 7]
    assert pace.delay() == 0
    clock.now += 1.99
    assert (pace.over, take(pace, 7)) == (False, 7)
    clock.now += 0.02
    assert (pace.over, take(pace, 7)) == (True, 0)


def test_the_schedule_begins_when_it_is_first_asked() -> None:
    clock = Clock()
    pace = Pace(10, 1.0, clock)
    clock.now += 30
    assert not pace.over
    assert take(pace) == 1


@given(rate=rates, waits=st.lists(short_waits, max_size=20))
def test_whoever_waits_as_told_is_late_by_a_tick_at_most(rate: float, waits: list[float]) -> None:
    clock = Clock()
    pace = Pace(rate, clock=clock)
    take(pace)
    for wait in waits:
        clock.now += wait
        take(pace)
        clock.now += pace.delay()
        assert 1 <= pace.due(EVERYTHING) <= rate * TICK + 2


def test_nobody_waits_beyond_the_end() -> None:
    clock = Clock()
    pace = Pace(0.01, 5.0, clock)
    take(pace)
    assert pace.delay() == 5.0


def test_items_are_spread_over_the_time_that_the_rate_gives_them() -> None:
    items = list(range(50))
    began = time.monotonic()
    portions = list(Pace(200).spread(items, Stop()))
    assert [item for portion in portions for item in portion] == items
    assert len(portions) > 5
    assert time.monotonic() - began >= 49 / 200


def test_without_a_rate_all_items_come_at_once() -> None:
    assert list(Pace(0).spread([1, 2, 3], Stop())) == [[1, 2, 3]]


def test_spreading_ends_when_a_stop_is_requested() -> None:
    stop = Stop()
    portions = Pace(1).spread([1, 2, 3], stop)
    assert next(portions) == [1]
    stop.request()
    assert list(portions) == []
