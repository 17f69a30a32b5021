"""The speeds and sizes of stored downloads by continent, which Prometheus is told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from dlmon.analysis.geography import world
from dlmon.event import COORDINATES, DOWNLOAD_SPEED, FILE_SIZE, LATITUDE, LONGITUDE, Event
from dlmon.monitoring.totals import ConsumeTotals, Downloads
from dlmon.stores.base import Entry

_NUMBERS = frozenset((int, float))


def count_by_continent(totals: ConsumeTotals, stored: Sequence[Entry]) -> None:
    """Add stored events to `totals.continents`.

    With another schema, an event may have no place, speed or size: it is not counted then.
    """
    events = [entry.event for entry in stored]
    if not _are_downloads(events):
        events = [event for event in events if _are_downloads((event,))]
    if not events:
        return
    places = [event[COORDINATES] for event in events]
    continents = world().continents_of(
        [place[LATITUDE] for place in places], [place[LONGITUDE] for place in places]
    )
    by_continent: defaultdict[str, list[Event]] = defaultdict(list)
    for continent, event in zip(continents, events, strict=True):
        by_continent[continent].append(event)
    for continent, there in by_continent.items():
        downloads = totals.continents.setdefault(continent, Downloads())
        downloads.speed.add_all([event[DOWNLOAD_SPEED] for event in there])
        downloads.size.add_all([event[FILE_SIZE] / 1000 for event in there])


def _are_downloads(events: Sequence[Event]) -> bool:
    """Whether all events have the numbers that are counted."""
    try:
        places = [event[COORDINATES] for event in events]
        types = {type(event[name]) for event in events for name in (DOWNLOAD_SPEED, FILE_SIZE)}
        types.update(type(place[name]) for place in places for name in (LATITUDE, LONGITUDE))
    except (KeyError, IndexError, TypeError):
        return False
    return types <= _NUMBERS
