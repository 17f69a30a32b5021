"""Statistics on sketches, against slow computations."""

from __future__ import annotations

from itertools import product
from math import erfc, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlmon.analysis.sketch import Sketch
from dlmon.analysis.statistics import (
    discoveries,
    median_of_shares,
    slower_by_chance,
    smallest_visible_drop,
)
from dlmon.analysis.stats import Stats
from dlmon.monitoring.histogram import bucket_of, value_of

values = st.lists(st.sampled_from([0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 90.0]), min_size=2, max_size=40)


def sketch_of(numbers: list[float]) -> Sketch:
    sketch = Sketch()
    for number in numbers:
        sketch.add(number)
    return sketch


def slow_rank_test(now: list[float], before: list[float]) -> float:
    """Mann and Whitney's U by comparing all pairs; its variance from the ranks themselves, which
    is the formula for ties without the formula."""
    u = sum((a > b) + 0.5 * (a == b) for a, b in product(now, before))
    pooled = sorted([*now, *before])
    ranks = [(2 * pooled.index(value) + pooled.count(value) + 1) / 2 for value in pooled]
    mean_rank = sum(ranks) / len(ranks)
    spread = sum((rank - mean_rank) ** 2 for rank in ranks)
    count = len(pooled)
    variance = len(now) * len(before) * spread / (count * (count - 1))
    if not variance:
        return 1.0
    deviation = (u + 0.5 - len(now) * len(before) / 2) / sqrt(variance)
    return erfc(-deviation / sqrt(2)) / 2


@given(values, values)
def test_the_rank_test_is_that_of_all_pairs(now: list[float], before: list[float]) -> None:
    found = slower_by_chance(sketch_of(now), sketch_of(before))
    assert found == pytest.approx(slow_rank_test(now, before), rel=1e-9, abs=1e-12)


def slow_discoveries(probabilities: list[float], rate: float) -> list[bool]:
    """Each number of finds is tried, from the most down."""
    ordered = sorted(probabilities)
    for finds in range(len(ordered), 0, -1):
        if ordered[finds - 1] <= rate * finds / len(ordered):
            return [one <= ordered[finds - 1] for one in probabilities]
    return [False] * len(probabilities)


@given(
    st.lists(st.floats(0, 1) | st.floats(0, 0.01) | st.just(0.0), max_size=30),
    st.sampled_from([0.01, 0.05, 0.5]),
)
def test_discoveries_are_those_of_benjamini_and_hochberg(
    probabilities: list[float], rate: float
) -> None:
    assert discoveries(probabilities, rate) == slow_discoveries(probabilities, rate)


@pytest.mark.parametrize(("count", "drop"), [(30, 0.4), (100, 0.25), (500, 0.12)])
def test_the_smallest_visible_drop_depends_on_how_many_there_are(count: int, drop: float) -> None:
    # A log-normal distribution with a deviation of 0.71, as speeds of one place have.
    spread = [
        10 * 2.718 ** (0.71 * deviate) for deviate in (-1.15, -0.674, -0.32, 0, 0.32, 0.674, 1.15)
    ]
    found = smallest_visible_drop(sketch_of([spread[n % 7] for n in range(count)]))
    assert found == pytest.approx(drop, abs=0.03)


def test_a_drop_that_is_only_the_mix_is_gone_at_the_mix_of_before() -> None:
    before, now = Stats(), Stats()
    for large, stats in ((90, before), (10, now)):
        for number in range(100):
            small = number >= large
            stats.add(200_000 if small else 20_000_000, 5.0 if small else 100.0)
    assert now.speeds.quantile(0.5) == pytest.approx(5, rel=0.03)
    mixed = median_of_shares(now.mixed_speeds(before.mix()))
    assert mixed == pytest.approx(100, rel=0.03)


@given(st.lists(st.tuples(st.integers(0, 10**9), st.floats(0.01, 1000)), max_size=60))
def test_at_its_own_mix_a_distribution_is_the_same(downloads: list[tuple[int, float]]) -> None:
    stats = Stats()
    for size, speed in downloads:
        stats.add(size, speed)
    shares = stats.mixed_speeds(stats.mix())
    speeds = [speed for size, speed in downloads if size >= 100_000]
    for bucket, share in shares.items():
        same = sum(bucket_of(speed) == bucket for speed in speeds)
        assert share == pytest.approx(same / len(speeds))
    assert not speeds or value_of(max(shares)) == pytest.approx(max(speeds), rel=0.026)
