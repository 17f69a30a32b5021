"""Where a place is: its country and its continent."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence, Set
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from dlmon.runtime.geohash import CELL_LENGTH, Bounds, cell_name

AT_SEA = "XZ"
"""The country and the continent of a place at sea: one of the codes that ISO 3166-1 leaves to its
users, and UN/LOCODE's for international waters."""

NOWHERE = "ZZ"
"""The country and the continent of what is no place, such as 91 degrees north, which another schema
may allow: Unicode's code for an unknown region (CLDR)."""

_CELL_BITS = 5 * CELL_LENGTH // 2  # of the latitude, and as many of the longitude
_STEPS = 8  # of the raster, in a degree
_WIDTH = 360 * _STEPS
# The raster and the cells both fit a grid of squares, of 1/256 degree from south to north and 1/128
# from west to east: 32 by 16 of them are a step of the raster, 45 by 45 a cell.
NORTH_SQUARES, EAST_SQUARES = 256, 128
"""Squares of a degree from south to north, and from west to east."""

SQUARES = 180 * NORTH_SQUARES
"""Squares of the world, in either direction."""

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
        rows = range(0, len(self._raster), _WIDTH)
        # From the south on, as squares are counted.
        self._raster = b"".join(self._raster[row : row + _WIDTH] for row in reversed(rows))
        self.countries = [Country(*fields) for fields in json.loads(head)]
        self._codes = [AT_SEA, *(country.code for country in self.countries)]
        self._continents = [AT_SEA, *(country.continent for country in self.countries)]
        self._nowhere = len(self._codes) << 2 * _CELL_BITS
        none = [Country(code, CONTINENTS[code], code) for code in (AT_SEA, NOWHERE)]
        everything = [*self.countries, *none]
        self.names = {country.code: country.name for country in everything}
        self.continents = {country.code: country.continent for country in everything}

    def country_of(self, latitude: float, longitude: float) -> str:
        """The code of the country at a place in degrees, or `AT_SEA`, or `NOWHERE`."""
        return self.names_of(self.place_of(latitude, longitude))[0]

    def bounds_of(self, countries: Set[str]) -> Bounds | None:
        """The edges of these countries together; None where `NOWHERE` is one, which has none."""
        if NOWHERE in countries:
            return None
        steps = bytes(code in countries for code in self._codes).ljust(256, b"\0")
        covered = self._raster.translate(steps)
        rows = [covered[first : first + _WIDTH] for first in range(0, len(covered), _WIDTH)]
        ys = [y for y, row in enumerate(rows) if 1 in row]
        if not ys:
            return Bounds(0.0, 0.0, 0.0, 0.0)
        west = min(rows[y].index(1) for y in ys)
        east = max(rows[y].rindex(1) for y in ys) + 1
        step = 360 / _WIDTH  # degrees
        return Bounds(
            ys[0] * step - 90, west * step - 180, (ys[-1] + 1) * step - 90, east * step - 180
        )

    def place_of(self, latitude: float, longitude: float) -> int:
        """The number of the country and the cell at a place in degrees: those of a country follow
        each other, and all are below 2^30."""
        if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
            return self._nowhere
        # The northern and the eastern edge of the world belong to the last squares.
        y = min(int((latitude + 90) * NORTH_SQUARES), SQUARES - 1)
        x = min(int((longitude + 180) * EAST_SQUARES), SQUARES - 1)
        return self._places((y,), (x,))[0]

    def places_of(self, latitudes: Sequence[float], longitudes: Sequence[float]) -> list[int]:
        """What `place_of` says of each of several places, at least one, in a third of the time."""
        if min(latitudes) >= -90 and min(longitudes) >= -180:
            ys = [*map(int, [(latitude + 90) * NORTH_SQUARES for latitude in latitudes])]
            xs = [*map(int, [(longitude + 180) * EAST_SQUARES for longitude in longitudes])]
            if max(ys) < SQUARES and max(xs) < SQUARES:
                return self._places(ys, xs)
        return [*map(self.place_of, latitudes, longitudes)]

    def continents_of(self, latitudes: Sequence[float], longitudes: Sequence[float]) -> list[str]:
        """The codes of the continents of several places in degrees, at least one."""
        south, north = min(latitudes), max(latitudes)
        west, east = min(longitudes), max(longitudes)
        if south >= -90 and north < 90 and west >= -180 and east < 180:
            raster, continents = self._raster, self._continents
            return [
                continents[raster[int((y + 90) * _STEPS) * _WIDTH + int((x + 180) * _STEPS)]]
                for y, x in zip(latitudes, longitudes, strict=True)
            ]
        return [self.continents[code] for code in map(self.country_of, latitudes, longitudes)]

    def _places(self, ys: Sequence[int], xs: Sequence[int]) -> list[int]:
        """The numbers of places by the squares that they are in, from south and from west."""
        raster = self._raster
        return [
            raster[(y >> 5) * _WIDTH + (x >> 4)] << 2 * _CELL_BITS | y // 45 << _CELL_BITS | x // 45
            for y, x in zip(ys, xs, strict=True)
        ]

    def names_of(self, place: int) -> tuple[str, str]:
        """The code of the country and the geohash of the cell; `NOWHERE` has none."""
        if place == self._nowhere:
            return NOWHERE, ""
        last = (1 << _CELL_BITS) - 1
        country = self._codes[place >> 2 * _CELL_BITS]
        return country, cell_name(place & last, place >> _CELL_BITS & last)


@cache
def world() -> World:
    """The world, loaded once."""
    return World()
