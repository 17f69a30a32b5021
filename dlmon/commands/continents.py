"""The speeds and sizes of stored downloads by continent, which Prometheus is told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TypeAlias

from dlmon.analysis.geography import world
from dlmon.event import COORDINATES, DOWNLOAD_SPEED, FILE_SIZE, LATITUDE, LONGITUDE, Event
from dlmon.monitoring.totals import ConsumeTotals, Downloads
from dlmon.stores.base import Entry

_Columns: TypeAlias = tuple[list[float], list[float], list[float], list[float]]
"""Latitudes, longitudes, speeds and sizes."""

_NUMBERS = frozenset((int, float))


def count_by_continent(totals: ConsumeTotals, stored: Sequence[Entry]) -> None:
    """Add stored events to `totals.continents`.

    With another schema, an event may have no place, speed or size: it is not counted then.
    """
    events = [entry.event for entry in stored]
    columns = _columns(events)
    if columns is None:
        columns = _columns([event for event in events if _columns((event,)) is not None])
    if columns is None or not columns[0]:
        return
    latitudes, longitudes, speeds, sizes = columns
    speeds_of: defaultdict[str, list[float]] = defaultdict(list)
    sizes_of: defaultdict[str, list[float]] = defaultdict(list)
    continents = world().continents_of(latitudes, longitudes)
    for continent, speed, size in zip(continents, speeds, sizes, strict=True):
        speeds_of[continent].append(speed)
        sizes_of[continent].append(size / 1000)
    for continent in speeds_of:
        downloads = totals.continents.setdefault(continent, Downloads())
        downloads.speed.add_all(speeds_of[continent])
        downloads.size.add_all(sizes_of[continent])


def _columns(events: Sequence[Event]) -> _Columns | None:
    """What is counted of events; None unless all of them have it."""
    try:
        places = [event[COORDINATES] for event in events]
        columns = (
            [place[LATITUDE] for place in places],
            [place[LONGITUDE] for place in places],
            [event[DOWNLOAD_SPEED] for event in events],
            [event[FILE_SIZE] for event in events],
        )
    except (KeyError, IndexError, TypeError):
        return None
    found = {kind for column in columns for kind in set(map(type, column))}
    return columns if found <= _NUMBERS else None
