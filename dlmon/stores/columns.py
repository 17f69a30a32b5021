"""Events as rows of a table: what columns need, what none can hold, and what became of a batch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
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
    normalize_id,
)
from dlmon.stores.base import Entry, WriteResult
from dlmon.validation.violations import ID_CONFLICT, UNSTORABLE, Violation

_CONFLICT = Violation(ID_CONFLICT, f"/{EVENT_ID}", "another event with this id is in the store")
_DROPPED = Violation(
    UNSTORABLE,
    "",
    "the store dropped it without an error: look for a trigger or a policy of its table that does",
)

TimeT = TypeVar("TimeT")


class Row(NamedTuple, Generic[TimeT]):
    """An event in columns.

    The id is in lower case, because RFC 9562 (section 4) compares UUIDs without regard to case.
    The time is of the type that the database driver takes. The body is the event byte for byte.
    """

    event_id: str
    timestamp: TimeT
    latitude: float
    longitude: float
    file_size: int
    download_speed: float
    body: str


def to_rows(
    entries: Sequence[Entry], convert_time: Callable[[Any], TimeT]
) -> tuple[list[Entry], list[Row[TimeT]], list[tuple[Entry, Violation]]]:
    """The entries that fit into the columns, the row of each, and the others with the reason.

    convert_time: from the text of an event to the type of the column; raises ValueError.
    """
    fitting: list[Entry] = []
    rows: list[Row[TimeT]] = []
    refused: list[tuple[Entry, Violation]] = []
    for entry in entries:
        try:
            rows.append(_row(entry, convert_time))
        except (KeyError, TypeError, ValueError):
            refused.append((entry, next(_violations(entry.event, convert_time))))
        else:
            fitting.append(entry)
    return fitting, rows, refused


def classify(
    entries: Sequence[Entry],
    rows: Sequence[Row[Any]],
    refused: Sequence[tuple[Entry, Violation]],
    inserted: Collection[str],
    bodies: Mapping[str, str],
) -> WriteResult:
    """What became of a batch of which some ids were taken, in the store or by an earlier row.

    refused: what did not fit into the columns. inserted: the ids that the store did not have
    before. bodies: the body that the store has now, by id; none for events that it dropped.
    """
    new = set(inserted)
    stored: list[Entry] = []
    duplicates: list[Entry] = []
    refusals = list(refused)
    for entry, row in zip(entries, rows, strict=True):
        if row.event_id in new:
            new.remove(row.event_id)  # a later row of this batch can have the same id
            stored.append(entry)
        elif (body := bodies.get(row.event_id)) == row.body:
            duplicates.append(entry)
        else:
            refusals.append((entry, _DROPPED if body is None else _CONFLICT))
    return WriteResult(stored, duplicates, refusals)


def to_utc(value: Any) -> datetime:
    """The time of an event, in UTC.

    Raises: ValueError when it is not an RFC 3339 time, or outside the years 1 to 9999.
    """
    moment = datetime.fromisoformat(_text(value).upper())
    if moment.tzinfo is UTC:
        return moment
    if moment.tzinfo is None:
        raise ValueError("the time has no offset")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("in UTC it is beyond the years 1 to 9999") from error


def _row(entry: Entry, convert_time: Callable[[Any], TimeT]) -> Row[TimeT]:
    """Raises: KeyError, TypeError or ValueError; `_violations` says what is wrong."""
    event = entry.event
    coordinates = event[COORDINATES]
    latitude, longitude = coordinates[LATITUDE], coordinates[LONGITUDE]
    speed = event[DOWNLOAD_SPEED]
    return Row(
        normalize_id(_text(event[EVENT_ID])),
        convert_time(event[TIMESTAMP]),
        # Nearly all are floats already: this saves a call for each.
        latitude if type(latitude) is float else _real(latitude),
        longitude if type(longitude) is float else _real(longitude),
        _integer(event[FILE_SIZE]),
        speed if type(speed) is float else _real(speed),
        entry.body.decode(),
    )


def _violations(event: object, convert_time: Callable[[Any], object]) -> Iterator[Violation]:
    """The members that keep an event out of the columns."""
    members: tuple[tuple[tuple[str, ...], Callable[[Any], object]], ...] = (
        ((EVENT_ID,), _text),
        ((TIMESTAMP,), convert_time),
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
