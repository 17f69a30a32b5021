"""Reading what a store has: in the order of storing, to follow it, and by time, to check it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from dlmon.runtime.closeable import Closeable


class Sample(NamedTuple):
    """What statistics need of an event.

    at: milliseconds since the epoch, negative before it. latitude, longitude: degrees, WGS 84.
    file_size: bytes. download_speed: Mbit/s.
    """

    at: int
    latitude: float
    longitude: float
    file_size: int
    download_speed: float


class StoredEvent(NamedTuple):
    """An event as it is stored: what statistics need of it, its id, and its exact bytes."""

    sample: Sample
    event_id: str
    body: bytes


class EventReader(Closeable):
    """Reads events from a store, and never writes. Use as a context manager."""

    @abstractmethod
    def read_between(self, start: int, end: int, limit: int) -> Iterator[list[Sample]]:
        """Events of a time, up to `limit` at a time, in any order.

        start, end: milliseconds since the epoch; the end is exclusive.

        Raises: StoreUnavailable.
        """

    @abstractmethod
    def read_events(self, start: int, end: int, limit: int) -> Iterator[list[StoredEvent]]:
        """As `read_between`, with ids and bodies.

        Raises: StoreUnavailable.
        """


class StoreReader(EventReader):
    """Reads events in the order of storing, too.

    A cursor is a text that only the reader understands: a place in the order of storing.
    """

    @property
    @abstractmethod
    def identity(self) -> str:
        """Tells this store from others, also from one that took its place."""

    @abstractmethod
    def knows(self, cursor: str) -> bool:
        """Whether the store has got as far as this cursor: one restored from a backup has not.

        Raises: StoreUnavailable.
        """

    @abstractmethod
    def remaining(self, cursor: str | None) -> int:
        """About how many events are behind a cursor, found without counting them: numbers that were
        given to no event, or to one that was deleted, count too.

        Raises: StoreUnavailable.
        """

    @abstractmethod
    def newest(self, count: int) -> str | None:
        """A cursor behind which the newest events are, about so many; None if there are no others.

        Nothing can be stored before it any more.

        Raises: StoreUnavailable.
        """

    @abstractmethod
    def read_after(
        self, cursor: str | None, limit: int, until: str | None = None
    ) -> Iterator[tuple[list[Sample], str]]:
        """All events behind a cursor, up to `limit` at a time, each time with the next cursor.

        cursor: None for all events. until: the cursor to end at; None for no end. An event that is
        stored meanwhile comes now or with a later call, and none comes twice.

        Raises: StoreUnavailable.
        """


class SqlReader(EventReader):
    """Has its server count events too, in the SQL of ClickHouse: faster than they could be read."""

    @abstractmethod
    def events(self, start: int, end: int) -> str:
        """SQL for the events of a time, with its FROM and WHERE; conditions can follow.

        start, end: milliseconds since the epoch; the end is exclusive.
        """

    @abstractmethod
    def select(self, query: str) -> Iterator[Sequence[Any]]:
        """The rows that a query finds, as they come.

        Raises: StoreUnavailable.
        """
