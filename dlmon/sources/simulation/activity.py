"""People sleep, and are at home on weekends: how that shapes downloads.

The hour is that of the sun, 15 degrees of longitude for each: no time zone and no holiday is known.
The shape is that of public traffic statistics, with its low at 4 and its high at 20 to 22 o'clock.
"""

from __future__ import annotations

HOURS_OF_A_WEEK = 168

_DAY = 24
_MONDAY = 72  # hours after the epoch, a Thursday, without the week
_SATURDAY = 5 * _DAY  # hours after Monday
_EVENING = range(19, 23)
_EVENING_SPEED = 0.85  # of the usual one, while most people share their lines

# fmt: off
_WEEKDAY = (
    0.45, 0.30, 0.20, 0.15, 0.12, 0.15, 0.25, 0.40, 0.55, 0.65, 0.70, 0.72,
    0.75, 0.75, 0.74, 0.75, 0.78, 0.82, 0.88, 0.95, 1.00, 1.00, 0.90, 0.70,
)
_WEEKEND = (
    0.60, 0.45, 0.33, 0.22, 0.15, 0.13, 0.17, 0.27, 0.42, 0.60, 0.75, 0.85,
    0.90, 0.92, 0.93, 0.95, 0.97, 1.00, 1.02, 1.05, 1.08, 1.06, 0.98, 0.82,
)
# fmt: on


def activity(hour: int, longitude: float) -> float:
    """How many downloads there are in an hour since the epoch, to those of a busy evening."""
    local = _hour_of_week(hour, longitude)
    return (_WEEKEND if local >= _SATURDAY else _WEEKDAY)[local % _DAY]


def speed_factor(hour: int, longitude: float) -> float:
    """How fast downloads are in an hour since the epoch, to the usual speed."""
    return _EVENING_SPEED if _hour_of_week(hour, longitude) % _DAY in _EVENING else 1.0


def _hour_of_week(hour: int, longitude: float) -> int:
    return (hour + _MONDAY + round(longitude / 15)) % HOURS_OF_A_WEEK
