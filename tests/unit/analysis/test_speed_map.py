"""Speeds on a map."""

from __future__ import annotations

import pytest

from dlmon.analysis.report import read_matching
from dlmon.analysis.speed_map import SpeedMap, Tile, land, speed_map
from dlmon.analysis.summaries import Summaries
from dlmon.console.report.world_map import show_map
from dlmon.runtime.stop import Stop
from dlmon.stores.sqlite_reader import SqliteReader
from tests.unit.analysis.stores import Download, Events, everything


def mapped(events: Events, columns: int = 36, rows: int = 10) -> SpeedMap:
    with SqliteReader(events.path) as reader, Summaries(events.summaries) as summaries:
        summaries.follow(reader, Stop())
        cells = read_matching(everything("cell"), summaries)
        return speed_map(everything("hour"), cells, columns, rows)


def test_a_tile_has_the_median_of_its_downloads(events: Events) -> None:
    events.add(*(Download(speed=float(speed)) for speed in range(1, 42)))
    ((place, tile),) = mapped(events).tiles.items()
    assert (place, tile.count) == ((2, 17), 41)
    assert tile.median == pytest.approx(21, rel=0.026)


@pytest.mark.parametrize(
    ("latitude", "longitude", "places"),
    [
        (0.0, 179.99, [(5, 35)]),
        (0.0, 180.0, [(5, 35)]),
        (0.0, -180.0, [(5, 0)]),
        (90.0, 0.0, []),
        (-90.0, 0.0, []),
        (83.9, 0.1, [(0, 18)]),
        (-57.9, 0.1, [(9, 18)]),
        (91.0, 0.0, []),
    ],
)
def test_a_place_is_in_its_tile_or_beyond_the_map(
    events: Events, latitude: float, longitude: float, places: list[tuple[int, int]]
) -> None:
    events.add(*(Download(latitude=latitude, longitude=longitude) for _ in range(5)))
    assert [*mapped(events).tiles] == places


def test_a_tile_of_few_downloads_is_left_out(events: Events) -> None:
    events.add(*(Download() for _ in range(4)))
    assert mapped(events).tiles == {}


def test_where_there_is_land_there_are_dots() -> None:
    found = {*land(360, 142)}
    assert (84 - 53, 180 - 7) in found  # Ireland
    assert (84 - 0, 180) not in found  # the Gulf of Guinea


def test_without_colours_digits_stand_for_speeds(capsys: pytest.CaptureFixture[str]) -> None:
    speeds = (1.0, 5.0, 20.0, 50.0, 1000.0, None)
    tiles = {(3, 2 * n): Tile(50, speed) for n, speed in enumerate(speeds)}
    show_map(SpeedMap(40, 8, tiles))
    *lines, legend = capsys.readouterr().out.splitlines()
    assert len(lines) == 8
    assert lines[3][0:11:2] == "12345+"
    assert "\x1b" not in legend
    assert legend.startswith("Median in Mbit/s: 1 below 5, 2 to 15")
