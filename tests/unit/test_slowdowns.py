from __future__ import annotations

from typing import Any

import orjson
import pytest

from dlmon.errors import UsageError
from dlmon.runtime.geohash import cell_of
from dlmon.runtime.timestamps import from_rfc3339
from dlmon.sources.simulation import Simulation
from dlmon.sources.simulation.slowdowns import parse_slowdowns

START = from_rfc3339("2026-03-01T12:00:00Z")
HOUR = 3_600_000  # milliseconds


def downloads(*slow: str) -> list[dict[str, Any]]:
    """4,000 of four hours, with these slowdowns."""
    slowdowns = parse_slowdowns(slow, START + 4 * HOUR)
    simulation = Simulation(seed=7, start=START, interval=3.6, slowdowns=slowdowns)
    return [orjson.loads(event.body) for event in simulation.take(4_000)]


USUAL = downloads()


def ratios(slow: list[dict[str, Any]]) -> list[float]:
    """Of each speed to the usual one. Nothing else of the events differs."""
    speeds = [
        (one.pop("download_speed"), usual["download_speed"])
        for one, usual in zip(slow, USUAL, strict=True)
    ]
    for one, usual in zip(slow, USUAL, strict=True):
        assert one == {name: usual[name] for name in one}
    return [round(now / usual, 1) for now, usual in speeds]


def first_character_of_cell(download: dict[str, Any]) -> str:
    coordinates = download["coordinates"]
    return cell_of(coordinates["latitude"], coordinates["longitude"], 1)


def test_a_country_is_slower_and_every_other_as_it_was() -> None:
    found = ratios(downloads("country=br:0.5"))
    slowed = [usual for usual, ratio in zip(USUAL, found, strict=True) if ratio != 1]
    assert {*found} == {0.5, 1.0}
    assert len(slowed) > 50
    for one in slowed:
        assert -35 < one["coordinates"]["latitude"] < 7
        assert -75 < one["coordinates"]["longitude"] < -33


def test_a_country_can_be_given_by_its_name() -> None:
    names = {"BR": "Brazil", "GB": "United Kingdom"}
    for text, code in (("brazil", "BR"), ("United Kingdom", "GB"), ("br", "BR")):
        (one,) = parse_slowdowns([f"country={text}:0.5"], START, names)
        assert one.country == code


def test_a_cell_is_slower_and_every_other_as_it_was() -> None:
    cells = [first_character_of_cell(one) for one in USUAL]
    cell = max({*cells}, key=cells.count)
    assert ratios(downloads(f"cell={cell}:0.5")) == [0.5 if one == cell else 1.0 for one in cells]


def test_it_begins_and_ends_when_it_should() -> None:
    everywhere = [f"cell={character}:0.5,from=2026-03-01T13:00:00Z,until=1h" for character in "6w"]
    found = ratios(downloads(*everywhere))
    cells = [first_character_of_cell(one) for one in USUAL]
    times = [from_rfc3339(one["timestamp"]) for one in USUAL]
    assert found == [
        0.5 if cell in ("6", "w") and START + HOUR <= at < START + 3 * HOUR else 1.0
        for cell, at in zip(cells, times, strict=True)
    ]


def test_those_that_overlap_multiply() -> None:
    assert {*ratios(downloads("country=CN:0.5", "country=CN:0.4"))} == {0.2, 1.0}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("IE", "expected such as country=IE:0.5"),
        ("city=Dublin:0.5", "expected such as"),
        ("country=IE:0.5,since=2h", "expected such as"),
        ("country=IE:half", "expected a factor above 0, at most 1, got 'half'"),
        ("country=IE:0", "expected a factor"),
        ("country=IE:-1", "expected a factor"),
        ("country=IE:nan", "expected a factor"),
        ("country=IE:2", "expected a factor"),
        ("country=Ireland:0.5", "no simulated downloads are in a country 'Ireland'"),
        ("country=XX:0.5", "no simulated downloads are in a country 'XX'"),
        ("cell=gcai:0.5", "'gcai' is not a geohash: expected one such as gc7x"),
        ("cell=0000:0.5", "no simulated downloads are in the cell '0000'"),
        ("country=IE:0.5,from=noon", "'noon' is not"),
        ("country=IE:0.5,from=1h,until=2h", "from is not before until"),
        ("country=IE:0.5,from=1h,from=2h", "from is given twice"),
    ],
)
def test_what_cannot_be_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_slowdowns([text], START)
    assert str(caught.value).startswith("--slow: ")
    assert words in str(caught.value)
    assert not str(caught.value).endswith("..")
