"""Events as a Parquet file, for those who go on in DuckDB, Spark or a warehouse.

| column           | type                         | of an event                                   |
|------------------|------------------------------|-----------------------------------------------|
| `event_id`       | text                         | its id                                        |
| `timestamp`      | timestamp in milliseconds    | its own time, UTC                             |
| `latitude`       | double                       | degrees, WGS 84                               |
| `longitude`      | double                       | degrees, WGS 84                               |
| `country`        | text                         | ISO 3166-1 alpha-2; XZ at sea, ZZ for nowhere |
| `cell`           | text                         | a geohash of 4 characters                     |
| `file_size`      | integer of 64 bits           | bytes                                         |
| `download_speed` | double                       | Mbit/s                                        |
| `body`           | text                         | the event as it came, byte for byte           |
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING

from arro3.core import Array, DataType, Field, RecordBatch, RecordBatchReader, Schema
from arro3.io import write_parquet

from dlmon.analysis.geography import world
from dlmon.analysis.hours import HOUR
from dlmon.analysis.report import Question
from dlmon.errors import DlmonError, FileError, Interrupted
from dlmon.runtime.files import fsync_folder
from dlmon.runtime.stdio import write_all
from dlmon.runtime.stop import Stop
from dlmon.stores.reading import EventReader, StoredEvent

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_READ = 2_000  # events at a time
_ROW_GROUP = 20_000  # rows; the writer keeps one of them in memory, with its bodies
_TIMESTAMP = DataType.timestamp("ms", tz="UTC")
_TYPES = {
    "event_id": DataType.utf8(),
    "timestamp": _TIMESTAMP,
    "latitude": DataType.float64(),
    "longitude": DataType.float64(),
    "country": DataType.utf8(),
    "cell": DataType.utf8(),
    "file_size": DataType.int64(),
    "download_speed": DataType.float64(),
    "body": DataType.utf8(),
}
_SCHEMA = Schema([Field(name, kind, nullable=False) for name, kind in _TYPES.items()])


def write_events(question: Question, reader: EventReader, path: Path, stop: Stop) -> int:
    """Write the events that a question is about to a new file: all of it, or none. How they are
    grouped does not matter.

    Returns how many there are. Raises: FileError, StoreUnavailable, Interrupted.
    """
    if path.exists():
        raise FileError(f"{path} exists already: name a new file to write to.")
    part = path.with_name(f"{path.name}.part")
    events = _Events(question, reader, stop)
    try:
        with _Output(part, events) as output:
            rows = RecordBatchReader.from_batches(_SCHEMA, events.batches())
            write_parquet(rows, output, max_row_group_size=_ROW_GROUP, compression="zstd(3)")
            if events.failure is not None:
                raise events.failure
            os.fsync(output.fileno())
        part.rename(path)
        fsync_folder(path.absolute().parent)
    except OSError as error:
        raise FileError(f"Cannot write {path}: {error.strerror}.") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return events.count


class _Events:
    """Events, batch by batch. The library would make errors in its callbacks its own, or panic: so
    `failure` keeps the first one, and the batches end there."""

    def __init__(self, question: Question, reader: EventReader, stop: Stop) -> None:
        self._question = question
        self._reader = reader
        self._stop = stop
        self.count = 0
        self.failure: DlmonError | OSError | None = None

    def batches(self) -> Iterator[RecordBatch]:
        start, end = self._question.start * HOUR, self._question.end * HOUR
        try:
            for events in self._reader.read_events(start, end, _READ):
                if self._stop.requested:
                    raise Interrupted("Stopped before all events were written: there is no file.")
                if self.failure is not None:
                    return
                batch = _batch(self._question, events)
                self.count += batch.num_rows
                yield batch
        except DlmonError as error:
            self.failure = error


class _Output(FileIO):
    """A file that takes everything, also on a full disk: `_Events` keeps what failed."""

    def __init__(self, path: Path, events: _Events) -> None:
        super().__init__(path, "w")
        self._events = events

    def write(self, data: ReadableBuffer, /) -> int:
        content = bytes(data)
        if self._events.failure is None:
            try:
                write_all(self.fileno(), content)
            except OSError as error:
                self._events.failure = error
        return len(content)


def _batch(question: Question, events: list[StoredEvent]) -> RecordBatch:
    """The events of a place that a question is about."""
    countries, cells = question.where.countries(), question.where.cell or ""
    geography = world()
    rows = [
        (event_id, *sample[:3], country, cell, *sample[3:], body.decode())
        for sample, event_id, body in events
        for country, cell in (
            geography.names_of(geography.place_of(sample.latitude, sample.longitude)),
        )
        if (countries is None or country in countries) and cell.startswith(cells)
    ]
    columns = zip(*rows, strict=True) if rows else ((),) * len(_TYPES)
    return RecordBatch.from_arrays(
        [_column(values, kind) for values, kind in zip(columns, _TYPES.values(), strict=True)],
        schema=_SCHEMA,
    )


def _column(values: tuple[object, ...], kind: DataType) -> Array:
    if kind == _TIMESTAMP:
        return Array(values, type=DataType.int64()).cast(kind)
    return Array(values, type=kind)
