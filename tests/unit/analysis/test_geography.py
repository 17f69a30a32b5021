"""Countries by raster and cells by geohash."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlmon.analysis.geography import AT_SEA, CONTINENTS, NOWHERE, world
from dlmon.runtime.geohash import CELL_LENGTH, bounds_of, cell_of
from dlmon.sources.simulation.cities import load_cities

latitudes = st.floats(-90, 90)
longitudes = st.floats(-180, 180)


@pytest.mark.parametrize(
    ("latitude", "longitude", "country"),
    [
        (53.35, -6.26, "IE"),
        (-33.87, 151.21, "AU"),
        (64.15, -21.94, "IS"),
        (67.5, 179.99, "RU"),
        (67.5, -179.99, "RU"),  # beyond the antimeridian
        (-16.8, 179.99, "FJ"),
        (-90, 0, "AQ"),
        (-90, 180, "AQ"),
        (90, 0, AT_SEA),
        (0, 0, AT_SEA),
        (0, -180, AT_SEA),
        (0, 180, AT_SEA),
    ],
)
def test_a_place_has_its_country(latitude: float, longitude: float, country: str) -> None:
    assert world().country_of(latitude, longitude) == country


def test_nearly_all_cities_are_found_in_their_own_country() -> None:
    cities = load_cities()
    found = [world().country_of(city.latitude, city.longitude) for city in cities]
    assert sum(code != AT_SEA for code in found) >= 498
    # Of the others, most lie within a cell of a border: Tijuana, Asunción, Vientiane ...
    assert sum(a == city.country for a, city in zip(found, cities, strict=True)) >= 487


def test_every_country_has_a_code_a_name_and_a_continent() -> None:
    countries = world().countries
    assert len({country.code for country in countries}) == len(countries) > 230
    assert all(len(country.code) == 2 and country.name for country in countries)
    assert {country.continent for country in countries} == {*CONTINENTS} - {AT_SEA, NOWHERE}
    assert {AT_SEA, NOWHERE}.isdisjoint(country.code for country in countries)
    assert world().names.keys() == world().continents.keys() > {AT_SEA, NOWHERE}


@pytest.mark.parametrize(
    ("latitude", "longitude"), [(90.1, 0), (-91, 0), (0, 180.5), (0, -1e300), (float("inf"), 0)]
)
def test_what_is_no_place_has_neither_country_nor_cell(latitude: float, longitude: float) -> None:
    assert world().country_of(latitude, longitude) == NOWHERE
    assert cell_of(latitude, longitude) == ""


# From Wikipedia's article on geohashes and the original geohash.org.
@pytest.mark.parametrize(
    ("latitude", "longitude", "cell"),
    [
        (57.64911, 10.40744, "u4pruydqqvj"),
        (42.6, -5.6, "ezs42"),
        (48.669, -4.329, "gbsuv"),
        (-25.382708, -49.265506, "6gkzwgjz"),
    ],
)
def test_a_cell_is_named_as_elsewhere(latitude: float, longitude: float, cell: str) -> None:
    assert cell_of(latitude, longitude, len(cell)) == cell


@given(latitudes, longitudes)
def test_a_cell_contains_its_places(latitude: float, longitude: float) -> None:
    cell = cell_of(latitude, longitude)
    south, west, north, east = bounds_of(cell)
    assert len(cell) == CELL_LENGTH
    assert south - 1e-9 <= latitude <= north + 1e-9
    assert west - 1e-9 <= longitude <= east + 1e-9
    assert cell.startswith(cell_of(latitude, longitude, 3))


@given(latitudes, longitudes)
def test_places_together_are_those_of_each(latitude: float, longitude: float) -> None:
    edges = (-90.0, 90.0, 0.0, latitude), (-180.0, 180.0, 179.99999999999997, longitude)
    together = world().places_of(*edges)
    assert together == [world().place_of(*place) for place in zip(*edges, strict=True)]
    assert all(0 <= place < 2**30 for place in together)
    assert world().names_of(together[2])[1] == cell_of(0.0, 179.9)


def test_what_is_no_geohash_is_refused() -> None:
    with pytest.raises(ValueError, match="'aaaa' is not a geohash"):
        bounds_of("aaaa")
