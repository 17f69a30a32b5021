from __future__ import annotations

import random
import statistics

import pytest

from dlmon.monitoring.histogram import Histogram

ERROR = 0.026
"""Of what is documented, and of floating-point numbers."""


def histogram(values: list[float]) -> Histogram:
    made = Histogram()
    made.add_all(values)
    return made


@pytest.mark.parametrize("value", [0.0011, 0.5, 1, 3, 999, 123_456.7, 9e9])
def test_a_quantile_is_the_value_itself_with_a_small_error(value: float) -> None:
    assert histogram([value]).quantile(0.5) == pytest.approx(value, rel=ERROR)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9, 0.95, 0.99])
def test_quantiles_are_those_of_the_values(share: float) -> None:
    chance = random.Random(1)
    values = [chance.lognormvariate(3, 2) for _ in range(20_000)]
    exact = statistics.quantiles(values, n=100)[round(100 * share) - 1]
    assert histogram(values).quantile(share) == pytest.approx(exact, rel=0.03)


def test_the_ends_are_the_least_and_the_most() -> None:
    made = histogram([5.0, 70.0, 900.0])
    assert [made.quantile(share) for share in (0, 1 / 3, 0.34, 2 / 3, 0.67, 1)] == [
        pytest.approx(value, rel=ERROR) for value in (5, 5, 70, 70, 900, 900)
    ]


def test_no_values_have_no_quantile_and_tiny_ones_are_nothing() -> None:
    assert Histogram().quantile(0.5) is None
    made = histogram([0, -7, 0.0009])
    assert [made.quantile(share) for share in (0, 0.5, 1)] == [0, 0, 0]
    assert made.count == 3


def test_what_is_larger_than_all_counts_as_the_largest() -> None:
    made = histogram([1e300, 1e308, 1e308, 2**64])
    largest = made.quantile(1)
    assert largest is not None
    assert 1e9 < largest < 1e11
    assert (made.count, made.total) == (4, 4e10)


def test_negative_values_never_make_the_total_smaller() -> None:
    made = histogram([5, -7, -1e308, -(2**63)])
    made.add(-3, times=10)
    assert (made.count, made.total) == (14, 5)


def test_times_and_merging_count_as_each_value_by_itself() -> None:
    one, two = Histogram(), Histogram()
    one.add(10, times=3)
    two.add(1_000, times=7)
    one.merge(two)
    assert (one.count, one.total) == (10, 7_030)
    assert one.quantile(0.3) == pytest.approx(10, rel=ERROR)
    assert one.quantile(0.31) == pytest.approx(1_000, rel=ERROR)
    assert two.count == 7


def test_values_up_to_a_bound_are_counted() -> None:
    made = histogram([1, 10, 100, 1_000])
    assert [made.up_to(bound) for bound in (0.5, 2, 20, 200, 2_000)] == [0, 1, 2, 3, 4]
