"""How finely events are summarised.

A month of hours by cell has nearly a million rows. So each event is summarised at five levels, and
a question reads the coarsest that can answer it.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from dlmon.analysis.stats import Stats


class Level(IntEnum):
    """What a summary is of: the world, a country or a cell, in an hour or a day, in UTC."""

    WORLD_HOUR = 0
    COUNTRY_HOUR = 1
    COUNTRY_DAY = 2
    CELL_HOUR = 3
    CELL_DAY = 4


class Summary(NamedTuple):
    """hour: the first one, since the epoch. country, cell: empty where the level has none."""

    hour: int
    country: str
    cell: str
    stats: Stats
