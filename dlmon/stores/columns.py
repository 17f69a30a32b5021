"""An event as the columns of a table: what a database needs of it, and what none can hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Generic, NamedTuple, TypeVar

from dlmon.event import (
    COORDINATES,
    DOWNLOAD_SPEED,
    EVENT_ID,
    FILE_SIZE,
    LATITUDE,
    LONGITUDE,
    TIMESTAMP,
)
from dlmon.stores.base import Entry
from dlmon.validation.violations import ID_CONFLICT, UNSTORABLE, Violation

CONFLICT = Violation(ID_CONFLICT, f"/{EVENT_ID}", "another event with this id is in the store")


Moment = TypeVar("Moment")


class Row(NamedTuple, Generic[Moment]):
    """An event in columns. The id is in lower case, since RFC 9562 compares UUIDs without regard to
    it; the time is as the database takes it; the body is as it came."""

    event_id: str
    timestamp: Moment
    latitude: float
    longitude: float
    file_size: int
    download_speed: float
    body: str


def to_rows(
    entries: Sequence[Entry], to_moment: Callable[[Any], Moment]
) -> tuple[list[Entry], list[Row[Moment]], list[tuple[Entry, Violation]]]:
    """The entries that fit, the row of each, and those that do not, with the reason.

    to_moment: what the database takes for a time, as `to_utc` or a function that calls it.
    """
    fitting: list[Entry] = []
    rows: list[Row[Moment]] = []
    refused: list[tuple[Entry, Violation]] = []
    for entry in entries:
        try:
            rows.append(_row(entry, to_moment))
        except (KeyError, TypeError, ValueError):
            refused.append((entry, next(_misfits(entry.event))))
        else:
            fitting.append(entry)
    return fitting, rows, refused


def to_utc(value: Any) -> datetime:
    """A time of an event in UTC. Raises: ValueError for one that is none, or out of range."""
    moment = datetime.fromisoformat(_text(value).upper())
    if moment.tzinfo is UTC:
        return moment
    if moment.tzinfo is None:
        raise ValueError("the time has no offset")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("in UTC it is beyond the years 1 to 9999") from error


def _row(entry: Entry, to_moment: Callable[[Any], Moment]) -> Row[Moment]:
    """Raises: KeyError, TypeError or ValueError for an event of which `_misfits` says more."""
    event = entry.event
    coordinates = event[COORDINATES]
    latitude, longitude = coordinates[LATITUDE], coordinates[LONGITUDE]
    speed = event[DOWNLOAD_SPEED]
    values = (
        _text(event[EVENT_ID]).lower(),
        to_moment(event[TIMESTAMP]),
        # What nearly all of them are already, without a call for each.
        latitude if type(latitude) is float else _real(latitude),
        longitude if type(longitude) is float else _real(longitude),
        _integer(event[FILE_SIZE]),
        speed if type(speed) is float else _real(speed),
        entry.body.decode(),
    )
    return tuple.__new__(Row, values)  # in half the time of calling Row


def _misfits(event: object) -> Iterator[Violation]:
    """What keeps an event out of the columns."""
    members: tuple[tuple[tuple[str, ...], Callable[[Any], object]], ...] = (
        ((EVENT_ID,), _text),
        ((TIMESTAMP,), to_utc),
        ((COORDINATES, LATITUDE), _real),
        ((COORDINATES, LONGITUDE), _real),
        ((FILE_SIZE,), _integer),
        ((DOWNLOAD_SPEED,), _real),
    )
    for path, convert in members:
        pointer = "/" + "/".join(path)
        value: Any = event
        try:
            for name in path:
                value = value[name]
            convert(value)
        except (KeyError, TypeError):
            yield Violation(UNSTORABLE, pointer, f"the store needs {pointer}")
        except ValueError as error:
            yield Violation(UNSTORABLE, pointer, f"the store cannot hold it: {error}")


def _text(value: Any) -> str:
    if type(value) is not str:
        raise ValueError("it is not a string")
    if "\0" in value:
        raise ValueError("it contains a NUL character")
    return value


def _real(value: Any) -> float:
    if type(value) is float:
        return value
    return float(_integer(value, "number"))


def _integer(value: Any, wanted: str = "integer") -> int:
    # In JSON Schema, 1.0 is an integer; in Python, True is one.
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int:
        raise ValueError(f"it is not {'an' if wanted == 'integer' else 'a'} {wanted}")
    if not -(2**63) <= value < 2**63:
        raise ValueError(f"{value} is an integer of more than 64 bits")
    return value
