"""Hours since the epoch in UTC, of any year that an event can have."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

HOUR = 3_600_000
"""Milliseconds."""

DAY = 24
"""Hours."""

FIRST_HOUR = -17_259_888
"""0001-01-01T00, the first hour of an event. RFC 3339 has a year 0, but no store can hold it."""

LAST_HOUR = 70_389_527
"""9999-12-31T23, the last hour of an event."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def hour_of(at: int) -> int:
    """The hour of a time in milliseconds since the epoch."""
    return at // HOUR


def format_hour(hour: int) -> str:
    """`2026-03-01T03:00Z`, for hours from `FIRST_HOUR` to `LAST_HOUR`."""
    return f"{(_EPOCH + timedelta(hours=hour)).isoformat()[:16]}Z"
