"""A map of the world in braille dots, coloured by speed."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter

from rich.text import Text

from dlmon.analysis.speed_map import SpeedMap, Tile, land
from dlmon.console.lines import print_line, stdout

_MAX_COLUMNS = 100
_DOTS_WIDE, _DOTS_HIGH = 2, 4  # of a braille character
_BLANK = 0x2800  # the first braille character, without dots
_BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # by row and column of the dot
_CENTRE = 0x36  # four dots, so that places on small islands are seen too
BOUNDS = (5, 15, 40, 100)
"""Mbit/s from which the next colour begins."""

_STYLES = ("red", "yellow", "green", "cyan", "blue")
_FEW, _FEW_STYLE = "+", "magenta"


def map_size() -> tuple[int, int]:
    """Columns and rows of a map that fits stdout."""
    columns = min(_MAX_COLUMNS, stdout().width)
    return columns, max(1, round(columns * 0.2))  # a character is twice as high as wide


def show_map(speeds: SpeedMap) -> None:
    """Draw the map on stdout. Where there are no colours, digits stand for them."""
    console = stdout()
    coloured = console.color_system is not None and not console.no_color
    for line in _lines(speeds, coloured=coloured):
        print_line(console, line)
    print_line(console, _legend(coloured=coloured), wrap=True)


def names_of_bounds() -> tuple[str, ...]:
    """The colours in words, from the slowest."""
    return (
        f"below {BOUNDS[0]}",
        *(f"to {bound}" for bound in BOUNDS[1:]),
        f"{BOUNDS[-1]} and more",
    )


def _lines(speeds: SpeedMap, *, coloured: bool) -> Iterator[Text]:
    dots: dict[tuple[int, int], int] = {}
    for row, column in land(speeds.columns * _DOTS_WIDE, speeds.rows * _DOTS_HIGH):
        place = row // _DOTS_HIGH, column // _DOTS_WIDE
        dots[place] = dots.get(place, 0) | _BITS[row % _DOTS_HIGH][column % _DOTS_WIDE]
    for row in range(speeds.rows):
        drawn = (
            _draw(dots.get((row, column), 0), speeds.tiles.get((row, column)), coloured=coloured)
            for column in range(speeds.columns)
        )
        runs = groupby(drawn, key=itemgetter(1))
        yield Text.assemble(*(("".join(text for text, _ in run), style) for style, run in runs))


def _draw(dots: int, tile: Tile | None, *, coloured: bool) -> tuple[str, str]:
    """A character and its style. dots: those of land."""
    if tile is None:
        return (chr(_BLANK | dots), "dim") if dots else (" ", "")
    return (chr(_BLANK | dots | _CENTRE), _style(tile)) if coloured else (_digit(tile), "")


def _style(tile: Tile) -> str:
    return _FEW_STYLE if tile.median is None else f"bold {_STYLES[bisect(BOUNDS, tile.median)]}"


def _digit(tile: Tile) -> str:
    return _FEW if tile.median is None else str(bisect(BOUNDS, tile.median) + 1)


def _legend(*, coloured: bool) -> Text:
    legend = Text("Median in Mbit/s: ")
    full = chr(_BLANK | 0xFF)
    for number, (name, style) in enumerate(zip(names_of_bounds(), _STYLES, strict=True), 1):
        legend.append(f"{full if coloured else number} ", f"bold {style}" if coloured else "")
        legend.append(f"{name}, ")
    legend.append(f"{full if coloured else _FEW} ", _FEW_STYLE if coloured else "")
    return legend.append("too few downloads.")
