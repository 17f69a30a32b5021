"""Events by COPY, where none of them is in the store yet: in half of the time that INSERT takes.

COPY cannot leave out what the store has. Where an event is, all of the batch is undone and inserted
instead, and so are some batches after it: what was delivered again is seldom alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from struct import Struct
from typing import Final

import psycopg
from psycopg import errors

from dlmon.stores.base import Entry
from dlmon.stores.columns import Row, to_rows, to_utc
from dlmon.stores.postgresql.database import Connection
from dlmon.stores.postgresql.layout import is_uuid
from dlmon.validation.violations import Violation

FEWEST = 100
"""Events for which COPY is faster: it takes more turns with the server."""

_PART = 100  # events
_PAUSE = 16  # batches that are inserted once COPY was in vain

_COPY: Final = """
    COPY dlmon_events (event_id, other_id, timestamp, latitude, longitude, file_size,
        download_speed, stored_at, body)
    FROM STDIN (FORMAT binary)"""

_STORED_AT = """
    SELECT (extract(epoch FROM greatest(now(), to_timestamp(%s::float8))
        - '2000-01-01Z'::timestamptz) * 1000000)::bigint"""

# The format is described with the statement COPY: each value is behind its length, -1 for NULL.
_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"
_FIELDS = 9
_UUID = Struct(">hi16si")
_OTHER = Struct(">hii")
_VALUES = Struct(">iqididiqidiqi")
_NULL = -1
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


class Conversion:
    """The rows of a batch, made in parts as they are needed.

    fitting, rows, refused: as of `to_rows`, of what is converted so far.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.fitting: list[Entry] = []
        self.rows: list[Row[datetime]] = []
        self.refused: list[tuple[Entry, Violation]] = []
        self._entries = entries
        self._done = 0

    def parts(self) -> Iterator[Sequence[Row[datetime]]]:
        """The rows of what is still to be converted."""
        while self._done < len(self._entries):
            part = self._entries[self._done : self._done + _PART]
            self._done += len(part)
            fitting, rows, refused = to_rows(part, to_utc)
            self.fitting += fitting
            self.rows += rows
            self.refused += refused
            yield rows

    def finish(self) -> None:
        """Convert all."""
        for _ in self.parts():
            pass


class Copying:
    """Decides which batches are copied, and copies them."""

    def __init__(self) -> None:
        self._pause = 0

    def is_due(self, entries: Sequence[Entry]) -> bool:
        """Whether to try it with this batch."""
        if len(entries) < FEWEST:
            return False
        self._pause = max(0, self._pause - 1)
        return self._pause == 0

    def copy(self, connection: Connection, batch: Conversion, date: float | None) -> bool:
        """Store a batch in a transaction; whether all of its rows are stored, else none is.

        date: seconds since the epoch; a row is not dated earlier.

        Raises: psycopg.Error.
        """
        ((stored_at,),) = connection.execute(_STORED_AT, (date,))
        try:
            with connection.transaction() as savepoint, connection.cursor() as cursor:
                with cursor.copy(_COPY) as copy:
                    # The server works on one part while the next one is made.
                    copy.write(_HEAD)
                    for rows in batch.parts():
                        copy.write(b"".join(_packed(rows, stored_at)))
                    copy.write(_END)
                if cursor.rowcount == len(batch.rows):
                    return True
                # A trigger has dropped some.
                raise psycopg.Rollback(savepoint)
        except (errors.UniqueViolation, errors.FeatureNotSupported):
            pass  # an id is taken, or row-level security is on: INSERT tells which, and can
        self._pause = _PAUSE
        return False


def _packed(rows: Sequence[Row[datetime]], stored_at: int) -> Iterator[bytes]:
    """stored_at: microseconds since 2000."""
    for row in rows:
        event_id = row.event_id
        if is_uuid(event_id):
            yield _UUID.pack(_FIELDS, 16, bytes.fromhex(event_id.replace("-", "")), _NULL)
        else:
            text = event_id.encode()
            yield _OTHER.pack(_FIELDS, _NULL, len(text))
            yield text
        since = row.timestamp - _EPOCH
        at = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
        body = row.body.encode()
        yield _VALUES.pack(
            *(8, at, 8, row.latitude, 8, row.longitude, 8, row.file_size),
            *(8, row.download_speed, 8, stored_at, len(body)),
        )
        yield body
