"""The ledger of a producer: what it was about to send, and what the broker has confirmed.

It is NDJSON with two kinds of lines, and is only appended to:

    {"id":"cfa695c4-...","verdict":"valid"}     an event, before it is sent
    {"id":"cfa695c4-...","confirmed":true}      the broker has taken an event with this id

`verdict` is the one that the event should get: `valid`, or the code it should be rejected with.
Whenever the producer is killed, every event on the broker has a line with its verdict, and every
confirmed event is on the broker. An event that is not confirmed may be there or not. Several events
can have one id, as those of the fault `id-conflict` do: then it stands in several lines.

Each line is written before the next step, so it survives the end of the process, but not of the
machine. A line that is not JSON was cut off when the process was killed, before its event was sent
or known to be confirmed: skip it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import orjson

from dlmon.messages import Message
from dlmon.runtime.closeable import Closeable
from dlmon.runtime.files import AppendedLines
from dlmon.sources.base import PlannedEvent


class Ledger(Closeable):
    """Appends to a ledger. Use as a context manager."""

    def __init__(self, path: Path) -> None:
        """Raises: FileError."""
        self._lines = AppendedLines(path, "the ledger")

    def plan(self, events: Iterable[PlannedEvent]) -> None:
        """Write that events are about to be sent.

        Raises: FileError. The events must not be sent then.
        """
        self._write({"id": event.message_id, "verdict": event.verdict} for event in events)

    def confirm(self, messages: Iterable[Message | PlannedEvent]) -> None:
        """Write that messages, or the events of one, are confirmed.

        Raises: FileError.
        """
        self._write({"id": message.message_id, "confirmed": True} for message in messages)

    def close(self) -> None:
        self._lines.close()

    def _write(self, records: Iterable[dict[str, str | bool | None]]) -> None:
        self._lines.append(
            b"".join(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE) for record in records)
        )
