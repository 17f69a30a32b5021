"""Sketches against an exact computation."""

from __future__ import annotations

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlmon.analysis.sketch import Sketch

values = st.lists(st.floats(0.01, 1e9), min_size=1, max_size=50)
shares = st.floats(0, 1)


def sketch_of(numbers: list[float]) -> Sketch:
    sketch = Sketch()
    for number in numbers:
        sketch.add(number)
    return sketch


def exact(numbers: list[float], share: float) -> float:
    """The smallest value that at least a share of all values do not exceed."""
    return sorted(numbers)[max(0, ceil(share * len(numbers)) - 1)]


@given(values, shares)
def test_a_quantile_is_off_by_at_most_a_fortieth(numbers: list[float], share: float) -> None:
    assert sketch_of(numbers).quantile(share) == pytest.approx(exact(numbers, share), rel=0.0256)


@given(values, values, shares)
def test_merging_is_as_exact_as_counting_together(
    some: list[float], others: list[float], share: float
) -> None:
    merged = sketch_of(some)
    merged.merge(sketch_of(others))
    together = sketch_of([*others, *some])
    assert merged.counts == together.counts
    assert merged.quantile(share) == together.quantile(share)
    assert merged.count == len(some) + len(others)


@given(values, st.floats(0.01, 1e9))
def test_the_share_below_a_value_is_between_those_of_the_edges_of_its_bucket(
    numbers: list[float], value: float
) -> None:
    share = sketch_of(numbers).below(value)
    surely = sum(number < value / 1.052 for number in numbers) / len(numbers)
    perhaps = sum(number < value * 1.052 for number in numbers) / len(numbers)
    assert share is not None
    assert surely - 1e-9 <= share <= perhaps + 1e-9


def test_zero_the_smallest_and_the_largest_values_are_counted() -> None:
    sketch = sketch_of([0.0, 0.0, 0.0005, 1e300])
    assert sketch.count == 4
    assert sketch.quantile(0.5) == 0.0
    assert sketch.quantile(1.0) == pytest.approx(1e10, rel=0.1)


def test_without_values_there_is_no_quantile() -> None:
    assert Sketch().quantile(0.5) is None
    assert Sketch().below(1.0) is None
