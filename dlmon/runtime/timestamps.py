"""Times as headers carry them (milliseconds since the epoch), and times and durations as text."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from dlmon.runtime.text import quote

_EPOCH = datetime.fromtimestamp(0, UTC)
_MILLISECOND = timedelta(milliseconds=1)
_LONGEST_DURATION = timedelta(days=365_000)  # subtracted from now, it is still a date

# fromisoformat() alone also takes dates without a time, and times without an offset.
_RFC3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", flags=re.ASCII
)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhdw]?)", flags=re.ASCII)
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
        raise ValueError(f"{quote(text)} is not an RFC 3339 time with an offset")
    return (datetime.fromisoformat(text.upper()) - _EPOCH) // _MILLISECOND


def parse_duration(text: str, unit: str = "") -> timedelta:
    """A number and a unit: `30s`, `15m`, `1.5h`, `30d`, `2w`. At most 1,000 years.

    unit: that of a number alone, which is refused otherwise.

    Raises: ValueError.
    """
    match = _DURATION.fullmatch(text)
    if not match or not (match[2] or unit):
        raise ValueError(f"expected such as 30s, 15m, 2h, 30d or 1w, got {quote(text)}")
    try:
        duration = timedelta(**{_UNITS[match[2] or unit]: float(match[1])})
    except OverflowError:
        duration = timedelta.max
    if duration > _LONGEST_DURATION:
        raise ValueError(f"{quote(text)} is too long")
    return duration


def parse_moment(text: str, now: int) -> int:
    """Milliseconds since the epoch of an RFC 3339 time, or of a duration before `now` (`2h`).

    Raises: ValueError.
    """
    if text and text[-1] in _UNITS:
        return now - parse_duration(text) // _MILLISECOND
    return from_rfc3339(text)
