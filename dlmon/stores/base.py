"""What a store promises, and how one bad event is kept from blocking a batch."""

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
    """What became of a batch. The three parts together are exactly the batch.

    `refused` are those that will never fit (`unstorable`) or whose id is taken by another body
    (`id-conflict`), each with its reason: they are parked, never dropped.
    """

    stored: Sequence[Entry] = ()
    duplicates: Sequence[Entry] = ()
    refused: Sequence[tuple[Entry, Violation]] = ()


class Store(Closeable):
    """Where valid events end up. Use as a context manager."""

    exactly_once: bool
    """Whether an event is stored once, however often it is written."""

    @abstractmethod
    def probe(self) -> None:
        """Check that a write would be possible now.

        Raises: StoreUnavailable.
        """

    @abstractmethod
    def write(self, entries: Sequence[Entry]) -> WriteResult:
        """Write a batch in one durable commit: what was returned as stored survives a crash.

        Raises: StoreUnavailable, and nothing of the batch is stored: hold it and try again.
        EventsRefused, and nothing of the batch is stored: an event of it can never be.
        """

    def trim(self) -> int:
        """Delete a few of the events that were kept for long enough, where that is asked for.

        To be called between batches, often: it is quick, and mostly has nothing to do. Returns how
        many were deleted.

        Raises: StoreUnavailable.
        """
        return 0

    @abstractmethod
    def close(self) -> None:
        """Release what the store holds."""


def write_isolating(store: Store, pending: list[Sequence[Entry]]) -> Iterator[WriteResult]:
    """Write batches; one that the store refuses as a whole is halved until each culprit is alone.

    What was written leaves `pending`, so that after a failure the same list can be passed again.

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
            violation = Violation(UNSTORABLE, "", str(refusal))
            written = WriteResult(refused=((entries[0], violation),))
        pending.pop()
        yield written
