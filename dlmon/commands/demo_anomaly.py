"""Simulated downloads of five weeks in a store of their own, slow in one country at the end."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import orjson

from dlmon.analysis.anomalies import WEEK, WEEKS, Anomalies, Kind
from dlmon.analysis.hours import HOUR
from dlmon.errors import Interrupted, StoreUnavailable
from dlmon.runtime.stop import Stop
from dlmon.sources.simulation import Simulation
from dlmon.sources.simulation.activity import activity
from dlmon.sources.simulation.cities import load_cities
from dlmon.sources.simulation.slowdowns import Slowdown
from dlmon.stores.base import Entry
from dlmon.stores.sqlite import SqliteStore

HOURS = 2
"""So many are simulated of this week, and the same of each of the `WEEKS` before."""

_AN_HOUR = 2_000  # downloads; the country where most are has 6% of them at the quietest hour
_FACTOR = 0.4


@dataclass(frozen=True, slots=True)
class Injected:
    """A slowdown that was put into simulated downloads.

    country: an ISO 3166-1 alpha-2 code. hour: since the epoch. factor: by which its speeds are
    multiplied. downloads: how many were simulated.
    """

    country: str
    hour: int
    factor: float
    downloads: int

    def is_in(self, anomalies: Anomalies) -> bool:
        """Whether it is among the anomalies, as the country or as cells of it."""
        return any(
            one.kind is Kind.SLOW
            and one.group.country == self.country
            and one.since <= self.hour < one.until
            for one in anomalies.found
        )


def inject_slowdown(path: Path, hour: int, stop: Stop) -> Injected:
    """Make a SQLite store of the hours that end with this one (since the epoch), in which one
    country is slow. It takes the place of the file, once it is whole.

    The same hour gives the same downloads.

    Raises: StoreUnavailable, Interrupted.
    """
    country = _busiest_country(hour)
    slowdown = Slowdown(_FACTOR, country, since=hour * HOUR, until=(hour + 1) * HOUR)
    firsts = [hour + 1 - HOURS - WEEK * before for before in range(WEEKS, -1, -1)]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f"{path.stem}-") as folder:
            made = Path(folder, path.name)
            with SqliteStore(made) as store:
                for first in firsts:
                    if stop.requested:
                        raise Interrupted("Stopped before the history was made.")
                    store.write(_entries(first, slowdown))
            # What a killed process left in the log of the old file would become part of the new.
            for suffix in ("-wal", "-shm"):
                path.with_name(f"{path.name}{suffix}").unlink(missing_ok=True)
            made.replace(path)
    except OSError as error:
        raise StoreUnavailable(f"{path} cannot be made: {error.strerror}.") from error
    return Injected(country, hour, _FACTOR, len(firsts) * HOURS * _AN_HOUR)


def _entries(first: int, slowdown: Slowdown) -> list[Entry]:
    """The downloads of `HOURS` hours from one on."""
    interval = 3600 / _AN_HOUR
    simulation = Simulation(seed=first, start=first * HOUR, interval=interval, slowdowns=[slowdown])
    return [
        Entry(event.message_id, event.body, orjson.loads(event.body))
        for event in simulation.take(HOURS * _AN_HOUR)
    ]


def _busiest_country(hour: int) -> str:
    """Where most downloads come from in an hour."""
    weights: dict[str, float] = defaultdict(float)
    for city in load_cities():
        weights[city.country] += city.population * activity(hour, city.longitude)
    return max(weights, key=lambda country: weights[country])
