"""Times without an offset, where one is assumed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import jsonschema_rs


def with_offset(time: str, offset: str) -> str:
    """A time as it is if it is a date-time of RFC 3339, and else with the offset at its end."""
    return time if is_date_time(time) else f"{time}{offset}"


def date_times(offset: str) -> Callable[[str], bool]:
    """The format `date-time`, in which the offset may be missing.

    offset: such as `+01:00` or `Z`.
    """
    return lambda text: is_date_time(text) or is_date_time(f"{text}{offset}")


def is_date_time(text: str) -> bool:
    """Whether a text is a date-time of RFC 3339, as schemas have it."""
    return _format().is_valid(text)


@cache
def _format() -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator({"format": "date-time"}, validate_formats=True)
