"""Filters on rejects, as the page sends them: those of `inspect-rejects`."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from dlmon.rejects.filters import RejectFilter
from dlmon.runtime.timestamps import parse_moment
from dlmon.web.answers import Problem
from dlmon.web.watching import now

_MAX_TEXT = 1_000
_SEVERAL = {"code": "--code", "path": "--path", "id": "--id", "schema_version": "--schema-version"}
_ONE = {"since": "--since", "until": "--until", "contains": "--contains"}


def filter_of(filters: Any) -> RejectFilter:
    """The filter that a JSON object asks for: `code`, `path`, `id` and `schema_version` are lists
    of texts; `since`, `until` and `contains` are texts.

    Raises: Problem.
    """
    given = _checked(filters)
    paths = frozenset(given.get("path", ()))
    if any(path and not path.startswith("/") for path in paths):
        raise _wrong("path: a JSON Pointer begins with a slash.")
    return RejectFilter(
        codes=frozenset(given.get("code", ())),
        paths=paths,
        since=_moment(given, "since"),
        until=_moment(given, "until"),
        contains=next(iter(given.get("contains", ())), None),
        ids=frozenset(given.get("id", ())),
        schema_versions=frozenset(given.get("schema_version", ())),
    )


def words_of(filters: Any) -> tuple[str, ...]:
    """The same as options of a command. Raises: Problem."""
    options = {**_SEVERAL, **_ONE}
    return tuple(
        word
        for name, values in _checked(filters).items()
        for value in values
        for word in (options[name], value)
    )


def _checked(filters: Any) -> dict[str, list[str]]:
    """Texts by name of filter, those that are given."""
    if filters is None:
        return {}
    if not isinstance(filters, dict) or filters.keys() - {*_SEVERAL, *_ONE}:
        raise _wrong(f"filters: expected an object with some of {', '.join((*_SEVERAL, *_ONE))}.")
    given: dict[str, list[str]] = {}
    for name, value in filters.items():
        values = value if name in _SEVERAL and isinstance(value, list) else [value]
        for text in values:
            if not isinstance(text, str) or len(text) > _MAX_TEXT:
                raise _wrong(f"{name}: expected text of at most {_MAX_TEXT:,} characters.")
        if values != [""] or name == "path":
            given[name] = values
    return given


def _moment(given: dict[str, list[str]], name: str) -> int | None:
    try:
        return parse_moment(given[name][0], now()) if name in given else None
    except ValueError as error:
        raise _wrong(f"{name}: {error}.") from error


def _wrong(text: str) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, text)
