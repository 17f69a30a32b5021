"""Cells of the world by their geohash: each character halves a cell five times."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

CELL_LENGTH = 4
"""Characters of a cell's name in summaries and reports: 0.35 degrees of longitude by 0.18 of
latitude, 39 x 20 km at the equator. Its first characters name the larger cells around it."""

_BASE32 = "0123456789bcdefghjkmnpqrstuvwxyz"


class Bounds(NamedTuple):
    """The edges of a cell in degrees."""

    south: float
    west: float
    north: float
    east: float


def cell_of(latitude: float, longitude: float, length: int = CELL_LENGTH) -> str:
    """The geohash of a place in degrees; empty for what is no place."""
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        return ""
    longitude_bits = (5 * length + 1) // 2
    latitude_bits = 5 * length - longitude_bits
    x = min(int((longitude + 180) / 360 * (1 << longitude_bits)), (1 << longitude_bits) - 1)
    y = min(int((latitude + 90) / 180 * (1 << latitude_bits)), (1 << latitude_bits) - 1)
    return cell_name(x, y, length)


@lru_cache(maxsize=100_000)
def cell_name(x: int, y: int, length: int = CELL_LENGTH) -> str:
    """The geohash of the cell that is the x-th from the west and the y-th from the south."""
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
