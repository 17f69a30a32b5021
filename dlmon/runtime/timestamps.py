"""Times as headers carry them (milliseconds since the epoch) and as people and files write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_EPOCH = datetime.fromtimestamp(0, UTC)
_MILLISECOND = timedelta(milliseconds=1)

# fromisoformat() alone also takes dates without a time, and times without an offset.
_RFC3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", flags=re.ASCII
)
_AGO = re.compile(r"(\d+)([smhdw])", flags=re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def to_rfc3339(at: int) -> str:
    """`2026-03-01T03:00:00.000Z` for milliseconds since the epoch (years 1970 to 9999)."""
    moment = _EPOCH + at * _MILLISECOND
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_rfc3339(text: str) -> int:
    """Milliseconds since the epoch of a date and time with an offset (RFC 3339 section 5.6).

    Raises: ValueError.
    """
    if not _RFC3339.fullmatch(text):
        raise ValueError(f"{text!r} is not an RFC 3339 time with an offset")
    return (datetime.fromisoformat(text.upper()) - _EPOCH) // _MILLISECOND


def parse_moment(text: str, now: int) -> int:
    """Milliseconds since the epoch of an RFC 3339 time, or of so long before `now` (`15m`, `2h`).

    Raises: ValueError.
    """
    if ago := _AGO.fullmatch(text):
        try:
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])}) // _MILLISECOND
        except OverflowError as error:
            raise ValueError(f"{text!r} is too long ago") from error
    return from_rfc3339(text)
