"""Speeds on a map of the world, in tiles of equal degrees."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dlmon.analysis.geography import AT_SEA, world
from dlmon.analysis.levels import Summary
from dlmon.analysis.report import MIN_PERCENTILE, Question
from dlmon.analysis.stats import Stats
from dlmon.runtime.geohash import bounds_of

NORTH, SOUTH = 84.0, -58.0
"""Degrees of latitude between which the map is: few live beyond."""


@dataclass(frozen=True, slots=True)
class Tile:
    """median: speed in Mbit/s; None of fewer than `MIN_PERCENTILE` downloads."""

    count: int
    median: float | None


@dataclass(frozen=True, slots=True)
class SpeedMap:
    """tiles: by row, from the north, and column, from the west; those with downloads."""

    columns: int
    rows: int
    tiles: dict[tuple[int, int], Tile]


def speed_map(question: Question, matching: Iterable[Summary], columns: int, rows: int) -> SpeedMap:
    """The downloads that a question is about, by place. A tile with fewer than `min_count` of them
    is left out.

    matching: their summaries, by cell.
    """
    groups: dict[tuple[int, int], Stats] = defaultdict(Stats)
    for summary in matching:
        if summary.cell and (place := _tile_of(summary.cell, columns, rows)):
            groups[place].merge(summary.stats)
    tiles = {}
    for place, stats in groups.items():
        if stats.count >= question.min_count:
            speeds = stats.speeds
            median = speeds.quantile(0.5) if speeds.count >= MIN_PERCENTILE else None
            tiles[place] = Tile(stats.count, median)
    return SpeedMap(columns, rows, tiles)


def land(columns: int, rows: int) -> Iterator[tuple[int, int]]:
    """The row and the column of each tile whose centre is on land."""
    for row in range(rows):
        latitude = NORTH - (row + 0.5) * (NORTH - SOUTH) / rows
        for column in range(columns):
            if world().country_of(latitude, (column + 0.5) * 360 / columns - 180) != AT_SEA:
                yield row, column


def _tile_of(cell: str, columns: int, rows: int) -> tuple[int, int] | None:
    """The tile that the centre of a cell is in; None beyond the map."""
    south, west, north, east = bounds_of(cell)
    row = int((NORTH - (south + north) / 2) * rows // (NORTH - SOUTH))
    return (row, int(((west + east) / 2 + 180) * columns // 360)) if 0 <= row < rows else None
