"""Slowdowns that are put into simulated downloads, to see whether they are found."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NoReturn

from dlmon.errors import UsageError
from dlmon.runtime.geohash import Bounds, bounds_of
from dlmon.runtime.text import quote
from dlmon.runtime.timestamps import parse_moment
from dlmon.sources.simulation.cities import City, load_cities

_GRAMMAR = re.compile(r"(country|cell)=([^:,]+):([^,]+)((?:,(?:from|until)=[^,]+)*)")
_NEAR = 1.0  # degrees around a city in which nearly all of its downloads are


@dataclass(frozen=True, slots=True)
class Slowdown:
    """Multiplies speeds by a factor, in a country or a cell, for some time.

    country: an ISO 3166-1 alpha-2 code; None where the cell's `bounds` say where. since, until:
    milliseconds since the epoch, the end is exclusive.
    """

    factor: float
    country: str | None = None
    bounds: Bounds | None = None
    since: float = -math.inf
    until: float = math.inf

    def affects(self, at: int, country: str, latitude: float, longitude: float) -> bool:
        """Whether a download is slower. country: that of the city where it is."""
        if not self.since <= at < self.until:
            return False
        if self.bounds is None:
            return country == self.country
        south, west, north, east = self.bounds
        return south <= latitude < north and west <= longitude < east


def parse_slowdowns(
    texts: Iterable[str], now: int, names: Mapping[str, str] = MappingProxyType({})
) -> tuple[Slowdown, ...]:
    """Slowdowns as `--slow` takes them: `country=IE:0.5`, `cell=gc7x:0.5,from=2h,until=1h`.

    now: milliseconds since the epoch, from which durations count back. names: of countries, by
    their codes; they are taken as well, in any case.

    Raises: UsageError.
    """
    texts = list(texts)
    cities = load_cities() if texts else []
    codes = {name.casefold(): code for code, name in names.items()}
    return tuple(_parse(text, now, cities, codes) for text in texts)


def _parse(text: str, now: int, cities: list[City], names: Mapping[str, str]) -> Slowdown:
    match = _GRAMMAR.fullmatch(text)
    if match is None:
        _refuse(
            "expected such as country=IE:0.5, cell=gc7x:0.5 or country=IE:0.5,from=2h,until=1h, "
            f"got {quote(text)}"
        )
    kind, place, factor, times = match.groups()
    moments: dict[str, int] = {}
    for part in times.split(",")[1:]:
        name, _, moment = part.partition("=")
        if name in moments:
            _refuse(f"{name} is given twice in {quote(text)}")
        moments[name] = _moment(moment, now)
    since, until = moments.get("from", -math.inf), moments.get("until", math.inf)
    if since >= until:
        _refuse(f"from is not before until in {quote(text)}")
    return Slowdown(
        factor=_factor(factor),
        country=_country(place, cities, names) if kind == "country" else None,
        bounds=_bounds(place, cities) if kind == "cell" else None,
        since=since,
        until=until,
    )


def _factor(text: str) -> float:
    try:
        factor = float(text)
    except ValueError:
        factor = math.nan
    if not 0 < factor <= 1:
        _refuse(f"expected a factor above 0, at most 1, got {quote(text)}")
    return factor


def _moment(text: str, now: int) -> int:
    try:
        return parse_moment(text, now)
    except ValueError as error:
        raise UsageError(f"--slow: {error}.") from error


def _country(text: str, cities: list[City], names: Mapping[str, str]) -> str:
    """names: codes, by the casefolded name."""
    codes = sorted({city.country for city in cities})
    code = names.get(text.casefold(), text.upper())
    if code not in codes:
        near = difflib.get_close_matches(code, codes, n=3, cutoff=0.5)
        hint = f" Near it are {', '.join(near)}." if near else ""
        _refuse(
            f"no simulated downloads are in a country {quote(text)}. Give one of the "
            f"{len(codes)} codes of ISO 3166, such as IE or US.{hint}".rstrip(".")
        )
    return code


def _bounds(text: str, cities: list[City]) -> Bounds:
    try:
        bounds = bounds_of(text.lower())
    except ValueError as error:
        raise UsageError(f"--slow: {error}: expected one such as gc7x.") from error
    south, west, north, east = bounds
    if not any(
        south - _NEAR < city.latitude < north + _NEAR
        and west - _NEAR < city.longitude < east + _NEAR
        for city in cities
    ):
        _refuse(f"no simulated downloads are in the cell {quote(text)}: choose one with a city")
    return bounds


def _refuse(reason: str) -> NoReturn:
    raise UsageError(f"--slow: {reason}.")
