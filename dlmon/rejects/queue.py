"""Where the rejects come from that a command acts on: the rejects queue, or a file."""

from __future__ import annotations

import hashlib
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import NamedTuple

from dlmon.brokers.base import Broker, Reader
from dlmon.errors import BrokerUnreachable, FileError
from dlmon.messages import Delivery, Queue
from dlmon.rejects.rejection import Rejection, from_delivery
from dlmon.runtime.closeable import Closeable
from dlmon.runtime.stop import Stop
from dlmon.validation.validator import Validator

READER_LIFETIME = 15 * 60.0
"""Seconds that one reader stays open. RabbitMQ closes a channel that holds a delivery for longer
than its consumer_timeout, which is 30 minutes unless configured."""


class LockedReject(NamedTuple):
    """A reject that no other reader gets meanwhile. `delivery` is None where it is from a file."""

    rejection: Rejection
    delivery: Delivery | None = None


class Rejects(ABC):
    """A set of rejects to act on, as it was at the start.

    `total` is how many there were, None where that is unknown before the end. `partial` is True
    where another reader holds further ones, or may.
    """

    total: int | None
    partial = False

    @abstractmethod
    def batches(self, size: int) -> Iterator[list[LockedReject]]:
        """All of them, each once, up to `size` at a time. Ends early at a stop request.

        Raises: BrokerError, FileError.
        """

    @abstractmethod
    def remove(self, locked: Sequence[LockedReject]) -> None:
        """Remove these from where they are, for good."""

    @property
    def unremoved(self) -> int:
        """How many could not be removed, because the connection was lost."""
        return 0

    @abstractmethod
    def exclude(self, rejection: Rejection) -> None:
        """Never give this one: it will come to rejects by what is about to be done."""


class QueuedRejects(Closeable, Rejects):
    """The rejects queue. Use as a context manager: at its end, what was not removed is returned.

    A reader stays open for `lifetime` seconds. Then, and when its connection is lost, everything
    that it holds returns to the queue and is read again, without what was given before.
    """

    def __init__(
        self,
        broker: Broker,
        validator: Validator,
        stop: Stop,
        *,
        only: AbstractSet[bytes] | None = None,
        lifetime: float = READER_LIFETIME,
    ) -> None:
        """only: give no others than these (`seen` of an earlier run). lifetime: of a reader, in
        seconds.

        Raises: BrokerError.
        """
        self._broker = broker
        self._validator = validator
        self._stop = stop
        self._only = only
        self._lifetime = lifetime
        self._reader: Reader | None = None
        self._reopen_at = 0.0
        self._made_progress = False
        # Keys and not rejections, so that a million of them fit into memory.
        self._excluded: set[bytes] = set()
        self._unremoved: set[bytes] = set()
        self.seen: set[bytes] = set()
        depth = broker.depth(Queue.REJECTS)
        self.total: int = depth.ready
        self.partial = depth.shared

    def batches(self, size: int) -> Iterator[list[LockedReject]]:
        count = 0
        while (count < self.total or self._unremoved) and not self._stop.requested:
            try:
                reader = self._open_reader()
                deliveries = reader.read(size)
                selected = self._select(reader, deliveries, self.total - count)
            except BrokerUnreachable as error:
                self._lose_reader(error)
                continue
            if not deliveries:
                self.partial |= count < self.total and self._only is None
                return
            count += len(selected)
            yield selected

    def remove(self, locked: Sequence[LockedReject]) -> None:
        if self._reader is None or not locked:
            return
        try:
            self._reader.acknowledge([one.delivery for one in locked if one.delivery is not None])
        except BrokerUnreachable as error:
            # They returned to the queue. The next reader gets them again and removes them then.
            self._unremoved.update(key_of(one.rejection) for one in locked)
            self._lose_reader(error)

    @property
    def unremoved(self) -> int:
        return len(self._unremoved)

    def exclude(self, rejection: Rejection) -> None:
        self._excluded.add(key_of(rejection))

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _open_reader(self) -> Reader:
        if self._reader is not None and time.monotonic() >= self._reopen_at:
            self.close()
        if self._reader is None:
            self._excluded |= self.seen
            self._made_progress = False
            self._reader = self._broker.open_reader(Queue.REJECTS)
            self._reopen_at = time.monotonic() + self._lifetime
        return self._reader

    def _lose_reader(self, error: BrokerUnreachable) -> None:
        """Let the next batch open another one.

        Raises: the error where this one made no progress: another would not either.
        """
        if not self._made_progress:
            raise error
        self.close()

    def _select(
        self, reader: Reader, deliveries: Sequence[Delivery], limit: int
    ) -> list[LockedReject]:
        """Those of these deliveries that are to be given, up to `limit`; removes those that an
        earlier reader could not remove."""
        selected: list[LockedReject] = []
        unremoved: list[tuple[bytes, Delivery]] = []
        for delivery in deliveries:
            rejection = from_delivery(delivery, self._validator)
            key = key_of(rejection)
            if key in self._unremoved:
                unremoved.append((key, delivery))
            elif key in self._excluded or (self._only is not None and key not in self._only):
                continue
            elif len(selected) < limit:
                self.seen.add(key)
                selected.append(LockedReject(rejection, delivery))
        if unremoved:
            reader.acknowledge([delivery for _, delivery in unremoved])
            self._unremoved.difference_update(key for key, _ in unremoved)
        self._made_progress = self._made_progress or bool(selected or unremoved)
        return selected


class FiledRejects(Rejects):
    """Rejects from a file, which stays as it is."""

    def __init__(self, rejections: Iterable[Rejection], stop: Stop) -> None:
        self._rejections = iter(rejections)
        self._stop = stop
        self.total = None

    def batches(self, size: int) -> Iterator[list[LockedReject]]:
        while not self._stop.requested:
            batch: list[LockedReject] = []
            try:
                batch.extend(map(LockedReject, islice(self._rejections, size)))
            except FileError:
                # Those before the place that cannot be read are good.
                if batch:
                    yield batch
                raise
            if not batch:
                return
            yield batch

    def remove(self, locked: Sequence[LockedReject]) -> None:
        pass

    def exclude(self, rejection: Rejection) -> None:
        pass


def key_of(rejection: Rejection) -> bytes:
    """Identifies a reject: two can have the same id and different bodies.

    One that was replayed and came back has a new key, since its count of replays is another.
    """
    head = repr((rejection.message_id, rejection.replays)).encode(errors="surrogatepass")
    return hashlib.blake2b(head + rejection.body, digest_size=16).digest()
