"""Charts of speeds as SVG, on a logarithmic scale. Their colours are classes of report.css."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby, pairwise
from math import floor, log10
from typing import NamedTuple

from dlmon.analysis.report import Row
from dlmon.console.report.numbers import format_speed

_WIDTH = 960
_HEIGHT = 300  # of a series
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 16, 12, 28  # margins
_LABELS = 190  # columns of names
_LINE = 22  # from one range to the next
_MAX_RANGES = 40
_MAX_DATES = 8


class _Speeds(NamedTuple):
    """A row, and its percentiles in Mbit/s."""

    row: Row
    p10: float
    p50: float
    p90: float


@dataclass(frozen=True, slots=True)
class _Scale:
    """From logarithms to a range of units. low, high: logarithms of Mbit/s."""

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def of(cls, speeds: Sequence[_Speeds], start: float, end: float) -> _Scale:
        """speeds: at least one."""
        low = log10(min(one.p10 for one in speeds))
        high = log10(max(one.p90 for one in speeds))
        margin = max(0.05, (high - low) * 0.06)
        return cls(low - margin, high + margin, start, end)

    def place(self, value: float) -> float:
        share = (log10(value) - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self) -> Iterator[float]:
        """1, 2, 5, 10 and so on, or only tens where the scale is long."""
        steps = (1,) if self.high - self.low > 3 else (1, 2, 5)
        for exponent in range(floor(self.low), floor(self.high) + 1):
            for step in steps:
                if self.low <= log10(step * 10.0**exponent) <= self.high:
                    yield step * 10.0**exponent


def time_series(rows: Sequence[Row]) -> str:
    """The median as a line, and a band from p10 to p90. Where too little is known, both stop."""
    first, last = int(rows[0].key), int(rows[-1].key)
    scale = _Scale.of(_known(rows), _HEIGHT - _BOTTOM, _TOP)
    extent = max(1, last - first)

    def x_of(hour: int) -> float:
        return round(_LEFT + (hour - first) / extent * (_WIDTH - _LEFT - _RIGHT), 1)

    parts = [_open(_HEIGHT, "Speed over time; the table below has the same numbers")]
    for tick in scale.ticks():
        y = scale.place(tick)
        parts.append(f'<path class="grid" d="M{_LEFT} {y}H{_WIDTH - _RIGHT}"/>\n')
        parts.append(f'<text class="y" x="{_LEFT - 8}" y="{y + 4}">{format_speed(tick)}</text>\n')
    shown = rows[:: max(1, -(-len(rows) // _MAX_DATES))]
    for row in shown:
        x = x_of(int(row.key))
        label = row.label[5:16].replace("T", " ")
        parts.append(f'<text class="x" x="{x}" y="{_HEIGHT - 8}">{escape(label)}</text>\n')
    # Hours without downloads have no row: a line over them would say that there were some.
    step = min((int(after.key) - int(row.key) for row, after in pairwise(rows)), default=1)
    for run in _runs(rows, step):
        points = [(x_of(int(row.key)), *map(scale.place, percentiles)) for row, *percentiles in run]
        upper = [f"{x} {y}" for x, _, _, y in points]
        lower = [f"{x} {y}" for x, y, _, _ in reversed(points)]
        line = [f"{x} {y}" for x, _, y, _ in points]
        parts.append(f'<path class="band" d="M{"L".join(upper + lower)}z"/>\n')
        parts.append(f'<path class="line" d="M{"L".join(line)}"/>\n')
        if len(points) == 1:
            x, _, y, _ = points[0]
            parts.append(f'<circle class="dot" cx="{x}" cy="{y}" r="3"/>\n')
    return "".join([*parts, "</svg>\n"])


def ranges(rows: Sequence[Row]) -> str:
    """A line from p10 to p90 for each of the first rows, and a dot for the median."""
    shown = _known(rows)[:_MAX_RANGES]
    height = _TOP + _LINE * len(shown) + _BOTTOM
    scale = _Scale.of(shown, _LABELS, _WIDTH - _RIGHT)
    parts = [_open(height, "Speed of each group; the table below has the same numbers")]
    for tick in scale.ticks():
        x = scale.place(tick)
        parts.append(f'<path class="grid" d="M{x} {_TOP}V{height - _BOTTOM}"/>\n')
        parts.append(f'<text class="x" x="{x}" y="{height - 8}">{format_speed(tick)}</text>\n')
    for number, (row, *percentiles) in enumerate(shown):
        y = _TOP + _LINE * (number + 0.5)
        low, middle, high = map(scale.place, percentiles)
        label = row.label if len(row.label) <= 28 else f"{row.label[:27]}…"
        parts.append(f'<text class="y" x="{_LABELS - 10}" y="{y + 4}">{escape(label)}</text>\n')
        parts.append(f'<path class="range" d="M{low} {y}H{high}"/>\n')
        parts.append(f'<circle class="dot" cx="{middle}" cy="{y}" r="5"/>\n')
    return "".join([*parts, "</svg>\n"])


def _known(rows: Iterable[Row]) -> list[_Speeds]:
    """Those of which percentiles are known."""
    return [
        _Speeds(row, row.p10, row.p50, row.p90) for row in rows if row.p10 and row.p50 and row.p90
    ]


def _runs(rows: Iterable[Row], step: int) -> Iterator[list[_Speeds]]:
    """Those that follow each other without a gap."""
    numbered = enumerate(_known(rows))
    for _, run in groupby(numbered, lambda one: int(one[1].row.key) - one[0] * step):
        yield [speeds for _, speeds in run]


def _open(height: int, label: str) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{label}">\n'
