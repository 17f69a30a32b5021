"""Where a place is: its country and its continent."""

from __future__ import annotations

import json
import zlib
from functools import cache
from importlib.resources import files
from typing import NamedTuple

AT_SEA = "XZ"
"""The country and the continent of a place at sea: one of the codes that ISO 3166-1 leaves to its
users, and UN/LOCODE's for international waters."""

NOWHERE = "ZZ"
"""The country and the continent of what is no place, such as 91 degrees north, which another schema
may allow: Unicode's code for an unknown region (CLDR)."""

_CELLS_PER_DEGREE = 8
_WIDTH, _HEIGHT = 360 * _CELLS_PER_DEGREE, 180 * _CELLS_PER_DEGREE

CONTINENTS = {
    "AF": "Africa",
    "AN": "Antarctica",
    "AS": "Asia",
    "EU": "Europe",
    "NA": "North America",
    "OC": "Oceania",
    "SA": "South America",
    AT_SEA: "at sea",
    NOWHERE: "no place",
}
"""Continents by code, as GeoNames has them, and what lies on none."""


class Country(NamedTuple):
    """code: ISO 3166-1 alpha-2. continent: a key of `CONTINENTS`."""

    code: str
    name: str
    continent: str


class World:
    """The raster of countries that `scripts/make_countries.py` makes. Loading it takes 20 ms."""

    def __init__(self) -> None:
        head, _, self._raster = zlib.decompress(
            (files(__package__) / "countries.bin").read_bytes()
        ).partition(b"\n")
        self.countries = [Country(*fields) for fields in json.loads(head)]
        self._codes = [AT_SEA, *(country.code for country in self.countries)]
        none = [Country(code, CONTINENTS[code], code) for code in (AT_SEA, NOWHERE)]
        everything = [*self.countries, *none]
        self.names = {country.code: country.name for country in everything}
        self.continents = {country.code: country.continent for country in everything}

    def country_of(self, latitude: float, longitude: float) -> str:
        """The code of the country at a place in degrees, or `AT_SEA`, or `NOWHERE`."""
        if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
            return NOWHERE
        row = min(int((90 - latitude) * _CELLS_PER_DEGREE), _HEIGHT - 1)
        column = int((longitude + 180) * _CELLS_PER_DEGREE) % _WIDTH
        return self._codes[self._raster[row * _WIDTH + column]]


@cache
def world() -> World:
    """The world, loaded once."""
    return World()
