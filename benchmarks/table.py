"""Medians and ratios, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median


def table(title: str, rates: Mapping[str, Sequence[float]], subject: str) -> Iterator[str]:
    """Rows of a table. rates: events a second by contender, of one or more runs each. subject: the
    contender that the others are held against.

    Ratios are medians of the ratios in each round: what slows the machine for a while slows both.
    """
    first, ours = next(iter(rates.values())), rates.get(subject, ())
    yield f"| {title} | events/s | lowest to highest | to the first | {subject} to it |"
    yield "|---|--:|--:|--:|--:|"
    for name, values in rates.items():
        if not values:
            yield f"| {name} | not installed | | | |"
            continue
        spread = f"{min(values):,.0f} to {max(values):,.0f}"
        ratios = f"{_ratio(values, first)} | {_ratio(ours, values)}"
        yield f"| {name} | {median(values):,.0f} | {spread} | {ratios} |"


def _ratio(values: Sequence[float], bases: Sequence[float]) -> str:
    ratios = [value / base for value, base in zip(values, bases, strict=False)]
    return f"{median(ratios):.3g}" if ratios else ""
