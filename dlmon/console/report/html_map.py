"""The world as SVG, each country coloured by its median speed."""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Sequence
from html import escape
from importlib.resources import files

from dlmon.analysis.report import Row
from dlmon.console.report.numbers import format_speed
from dlmon.console.report.world_map import BOUNDS, names_of_bounds
from dlmon.console.text import counted

_PATH = re.compile(r'<path id="(\w\w)" d="([^"]*)">')


def world_map(rows: Sequence[Row]) -> str:
    """rows: of countries, by their code."""
    # That of the page, which scripts/make_world.py makes.
    source = (files("dlmon") / "web" / "assets" / "world.svg").read_text(encoding="utf-8")
    by_code = {str(row.key): row for row in rows}
    head = source[: source.index(">") + 1]
    label = "Map of the world; `dlmon report --by country` has the same numbers"
    parts = [head.replace(">", f' role="img" aria-label="{label}">\n')]
    for code, outline in _PATH.findall(source):
        row = by_code.get(code)
        title = "" if row is None else f"<title>{escape(_in_words(row))}</title>"
        parts.append(f'<path class="{_class_of(row)}" d="{outline}">{title}</path>\n')
    names = (*names_of_bounds(), "too few downloads")
    classes = (*(f"speed-{number}" for number in range(len(BOUNDS) + 1)), "few")
    legend = "".join(
        f'<li><svg viewBox="0 0 10 10" aria-hidden="true"><circle class="{style}" cx="5" cy="5" '
        f'r="5"/></svg> {name}</li>'
        for name, style in zip(names, classes, strict=True)
    )
    return "".join([*parts, f'</svg>\n<ul class="legend">{legend}</ul>\n'])


def _class_of(row: Row | None) -> str:
    if row is None:
        return "land"
    return "few" if row.p50 is None else f"speed-{bisect(BOUNDS, row.p50)}"


def _in_words(row: Row) -> str:
    text = f"{row.label}: {counted(row.count, 'download')}"
    return text if row.p50 is None else f"{text}, median {format_speed(row.p50)} Mbit/s"
