"""What a store promises, and how one event that it refuses does not block a batch."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dlmon.errors import EventsRefused
from dlmon.event import Event
from dlmon.runtime.closeable import Closeable
from dlmon.validation.violations import UNSTORABLE, Violation


class Entry(NamedTuple):
    """A valid event on its way into a store: its id, its exact bytes, and the bytes parsed."""

    event_id: str
    body: bytes
    event: Event


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What became of a batch: each of its entries is in exactly one of the three parts.

    `refused` holds events that can never be stored (`unstorable`), and events whose id belongs to
    another body (`id-conflict`), each with the reason. They are parked, never dropped.
    """

    stored: Sequence[Entry] = ()
    duplicates: Sequence[Entry] = ()
    refused: Sequence[tuple[Entry, Violation]] = ()


class Store(Closeable):
    """Where valid events end up. Use as a context manager."""

    exactly_once: bool
    """Whether an event is stored once, however often it is written."""

    has_columns = False
    """Whether it needs the members of an event that `dlmon.stores.columns` lists."""

    @abstractmethod
    def probe(self) -> None:
        """Check that a write would be possible now, but for what is in the events.

        Raises: StoreUnavailable.
        """

    @abstractmethod
    def write(self, entries: Sequence[Entry]) -> WriteResult:
        """Write a batch in one durable commit: what is returned as stored survives a crash.

        Raises: StoreUnavailable when the store cannot take anything now, EventsRefused when at
        least one event of the batch is refused, as far as the store can see: `probe` shows whether
        it takes others. Nothing of the batch is stored then.
        """

    def advice(self) -> str | None:
        """What the store would be faster with, in words; None where there is nothing to say.

        Raises: StoreUnavailable.
        """
        return None

    def trim(self) -> int:
        """Delete a step of the events that are older than the store is to keep them.

        Call it after each batch: it is quick, and nearly always has nothing to do. Returns the
        number of deleted events.

        Raises: StoreUnavailable.
        """
        return 0

    @abstractmethod
    def close(self) -> None:
        """Close connections and files."""


def write_isolating(store: Store, pending: list[Sequence[Entry]]) -> Iterator[WriteResult]:
    """Write batches. A batch that the store refuses is halved until each refused event is alone.

    An event is given up only while the store works otherwise, which is probed before. Batches are
    taken from the end of `pending` once they are written, so that after a failure the same list can
    be passed again.

    Raises: StoreUnavailable.
    """
    while pending:
        entries = pending[-1]
        try:
            written = store.write(entries)
        except EventsRefused as refusal:
            if len(entries) > 1:
                middle = len(entries) // 2
                pending[-1:] = [entries[middle:], entries[:middle]]
                continue
            store.probe()
            violation = Violation(UNSTORABLE, "", str(refusal))
            written = WriteResult(refused=((entries[0], violation),))
        pending.pop()
        yield written
