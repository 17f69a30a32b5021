"""Medians and ratios, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median


def table(title: str, rates: Mapping[str, Sequence[float]]) -> Iterator[str]:
    """Lines of a table. rates: events a second by contender, of one run or more each.

    Ratios are medians of the ratios to the first one in each round: what slows the machine for a
    while slows both.
    """
    first = next(iter(rates.values()))
    yield f"| {title} | events/s | lowest to highest | to the first |"
    yield "|---|--:|--:|--:|"
    for name, values in rates.items():
        if not values:
            yield f"| {name} | not installed | | |"
            continue
        ratio = median(value / base for value, base in zip(values, first, strict=False))
        spread = f"{min(values):,.0f} to {max(values):,.0f}"
        yield f"| {name} | {median(values):,.0f} | {spread} | {ratio:.3g} |"
