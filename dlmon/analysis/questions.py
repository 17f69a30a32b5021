"""Questions as people type them, in a command or an address."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence

from dlmon.analysis.geography import CONTINENTS, world
from dlmon.analysis.hours import FIRST_HOUR, HOUR, LAST_HOUR
from dlmon.analysis.report import MIN_COUNT, By, Question, Where
from dlmon.errors import UsageError
from dlmon.runtime.geohash import CELL_LENGTH, bounds_of
from dlmon.runtime.text import quote
from dlmon.runtime.timestamps import parse_moment

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def make_question(
    since: str,
    until: str | None,
    by: str,
    where: Sequence[str] = (),
    *,
    threshold: float | None = None,
    min_count: int = MIN_COUNT,
    now: int | None = None,
) -> Question:
    """The question that these texts ask. The hours in which it begins and ends count as a whole.

    since, until: a date, an RFC 3339 time or a duration before now. now: milliseconds since the
    epoch, for tests.

    Raises: UsageError that says what would be right.
    """
    at = time.time_ns() // 1_000_000 if now is None else now
    start = max(FIRST_HOUR, _moment("--since", since, at) // HOUR)
    end = -(-(at if until is None else _moment("--until", until, at)) // HOUR)
    if start >= end:
        raise UsageError("--since has to be before --until, which is now where it is left out.")
    if by not in list(By):
        raise UsageError(f"--by: expected one of {', '.join(By)}, got {quote(by)}.")
    return Question(
        start=start,
        end=min(end, LAST_HOUR + 1),
        by=By(by),
        where=parse_where(where),
        threshold=threshold,
        min_count=min_count,
    )


def parse_where(conditions: Sequence[str]) -> Where:
    """Of conditions such as `country=IE`, at most one of each kind.

    Raises: UsageError.
    """
    given: dict[str, str] = {}
    for condition in conditions:
        name, equals, value = condition.partition("=")
        if not equals or name not in ("country", "continent", "cell"):
            raise UsageError(
                f"--where: expected country=IE, continent=EU or cell=gc7x, got {quote(condition)}."
            )
        if name in given:
            raise UsageError(f"--where {name} can be given once.")
        given[name] = value
    country, continent, cell = (given.get(name) for name in ("country", "continent", "cell"))
    return Where(
        country=None if country is None else _code("country", country, world().names),
        continent=None if continent is None else _code("continent", continent, CONTINENTS),
        cell=None if cell is None else _cell(cell),
    )


def _moment(option: str, text: str, now: int) -> int:
    try:
        return parse_moment(f"{text}T00:00:00Z" if _DATE.fullmatch(text) else text, now)
    except ValueError as error:
        raise UsageError(
            f"{option}: expected such as 24h, 30d, 2026-03-01 or 2026-03-01T12:00:00Z, "
            f"got {quote(text)}."
        ) from error


def _code(what: str, text: str, names: Mapping[str, str]) -> str:
    """The code that a code or a name in any case stands for."""
    wanted = text.casefold()
    for code, name in names.items():
        if wanted in (code.casefold(), name.casefold()):
            return code
    example = "IE or Ireland" if what == "country" else f"one of {', '.join(names)}"
    raise UsageError(f"--where {what}: expected {example}, got {quote(text)}.")


def _cell(text: str) -> str:
    cell = text.lower()
    try:
        bounds_of(cell)
    except ValueError as error:
        raise UsageError(
            f"--where cell: expected a geohash such as gc7x, got {quote(text)}."
        ) from error
    if not 0 < len(cell) <= CELL_LENGTH:
        raise UsageError(f"--where cell: expected 1 to {CELL_LENGTH} characters of a geohash.")
    return cell
