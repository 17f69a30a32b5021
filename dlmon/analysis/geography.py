"""Where a place is: its country, its continent, and its cell.

A cell is a geohash of 4 characters: 0.35 degrees of longitude by 0.18 of latitude, 39 x 20 km at
the equator. Its first characters name the larger cells around it.
"""

from __future__ import annotations

import json
import zlib
from functools import cache, lru_cache
from importlib.resources import files
from typing import NamedTuple

AT_SEA = "XZ"
"""The country and the continent of a place at sea: one of the codes that ISO 3166-1 leaves to its
users, and UN/LOCODE's for international waters."""

NOWHERE = "ZZ"
"""The country and the continent of what is no place, such as 91 degrees north, which another schema
may allow: Unicode's code for an unknown region (CLDR)."""

CELL_LENGTH = 4
"""Characters of a cell's name."""

_BASE32 = "0123456789bcdefghjkmnpqrstuvwxyz"
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


class Bounds(NamedTuple):
    """The edges of a cell in degrees."""

    south: float
    west: float
    north: float
    east: float


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


def cell_of(latitude: float, longitude: float, length: int = CELL_LENGTH) -> str:
    """The geohash of a place in degrees; empty for what is no place."""
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        return ""
    longitude_bits = (5 * length + 1) // 2
    latitude_bits = 5 * length - longitude_bits
    x = min(int((longitude + 180) / 360 * (1 << longitude_bits)), (1 << longitude_bits) - 1)
    y = min(int((latitude + 90) / 180 * (1 << latitude_bits)), (1 << latitude_bits) - 1)
    return _cell_name(x, y, length)


@lru_cache(maxsize=100_000)
def _cell_name(x: int, y: int, length: int) -> str:
    # Bits of both alternate, and begin with one of the longitude.
    code = 0
    for bit in range(5 * length):
        source, bits = (y, 5 * length // 2) if bit % 2 else (x, (5 * length + 1) // 2)
        code = code << 1 | source >> (bits - 1 - bit // 2) & 1
    return "".join(_BASE32[code >> 5 * place & 31] for place in reversed(range(length)))


def bounds_of(cell: str) -> Bounds:
    """The edges of a cell with this geohash.

    Raises: ValueError when it is no geohash.
    """
    south, west, north, east = -90.0, -180.0, 90.0, 180.0
    for position, character in enumerate(cell):
        if character not in _BASE32:
            raise ValueError(f"{cell!r} is not a geohash")
        value = _BASE32.index(character)
        for bit in range(5):
            upper = value >> (4 - bit) & 1
            if (5 * position + bit) % 2:
                middle = (south + north) / 2
                south, north = (middle, north) if upper else (south, middle)
            else:
                middle = (west + east) / 2
                west, east = (middle, east) if upper else (west, middle)
    return Bounds(south, west, north, east)
