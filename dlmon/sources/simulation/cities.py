"""The places where simulated downloads happen."""

from __future__ import annotations

import csv
from importlib.resources import files
from typing import NamedTuple


class City(NamedTuple):
    """A row of cities.csv. The head of that file names the source of the data and its licence.

    `country` is an ISO 3166-1 alpha-2 code, `continent` one of AF, AS, EU, NA, OC and SA. Degrees
    are WGS 84.
    """

    name: str
    country: str
    continent: str
    latitude: float
    longitude: float
    population: int


def load_cities() -> list[City]:
    """All cities, the most populous first."""
    text = (files(__package__) / "cities.csv").read_text(encoding="utf-8")
    rows = csv.reader(line for line in text.splitlines() if not line.startswith("#"))
    next(rows)  # the names of the columns
    return [
        City(name, country, continent, float(latitude), float(longitude), int(population))
        for name, country, continent, latitude, longitude, population in rows
    ]
