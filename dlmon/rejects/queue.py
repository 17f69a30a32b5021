"""What the commands that act on rejects share: where rejects come from, and the receipt."""

from __future__ import annotations

import hashlib
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import NamedTuple

from dlmon.brokers.base import Broker, Reader
from dlmon.errors import BrokerUnreachable
from dlmon.messages import Delivery, Queue
from dlmon.rejects.rejection import Rejection, from_delivery
from dlmon.runtime.closeable import Closeable
from dlmon.runtime.stop import Stop
from dlmon.validation.validator import Validator

HOLD = 15 * 60.0
"""Seconds that one reader stays open. RabbitMQ closes a channel that holds a delivery for longer
than its consumer_timeout, which is 30 minutes unless configured."""


class LockedReject(NamedTuple):
    """A reject in hand. `delivery` is None where it came from a file."""

    rejection: Rejection
    delivery: Delivery | None = None


class Rejects(ABC):
    """A set of rejects to act on, as it was at the start.

    `total` is how many there were, None where that is not known before the end. `partial` tells
    that somebody else holds further ones, or may.
    """

    total: int | None
    partial = False

    @abstractmethod
    def batches(self, size: int) -> Iterator[list[LockedReject]]:
        """All of them, each once, up to `size` at a time.

        Raises: BrokerError, FileError.
        """

    @abstractmethod
    def remove(self, held: Sequence[LockedReject]) -> None:
        """Remove these from where they are, for good."""

    @property
    def still_there(self) -> int:
        """How many that should be removed could not be, because the connection was lost."""
        return 0

    @abstractmethod
    def disregard(self, rejection: Rejection) -> None:
        """Do not hand out this one: it will get there only now, by what is about to be done."""


class QueuedRejects(Closeable, Rejects):
    """The rejects queue. Use as a context manager: what was not removed is given back at its end.

    A reader stays open for `hold` seconds. Then, and when its connection is lost, all that it holds
    is given back and read again, and what was handed out before is passed over.
    """

    def __init__(
        self,
        broker: Broker,
        validator: Validator,
        stop: Stop,
        *,
        among: AbstractSet[bytes] | None = None,
        hold: float = HOLD,
    ) -> None:
        """among: hand out only these (`seen` of an earlier look).

        Raises: BrokerError.
        """
        self._broker = broker
        self._validator = validator
        self._stop = stop
        self._among = among
        self._hold = hold
        self._reader: Reader | None = None
        self._reopen_at = 0.0
        self._fruitful = False
        # Keys and not rejections, so that a million of them fit.
        self._before: set[bytes] = set()
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
                fresh = self._fresh(reader, deliveries, self.total - count)
            except BrokerUnreachable as error:
                self._lose_reader(error)
                continue
            if not deliveries:
                self.partial |= count < self.total and self._among is None
                return
            count += len(fresh)
            yield fresh

    def remove(self, held: Sequence[LockedReject]) -> None:
        if self._reader is None or not held:
            return
        try:
            self._reader.acknowledge([one.delivery for one in held if one.delivery is not None])
        except BrokerUnreachable as error:
            # They were given back. The next reader meets them again and removes them then.
            self._unremoved.update(key_of(one.rejection) for one in held)
            self._lose_reader(error)

    @property
    def still_there(self) -> int:
        return len(self._unremoved)

    def disregard(self, rejection: Rejection) -> None:
        self._before.add(key_of(rejection))

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _open_reader(self) -> Reader:
        if self._reader is not None and time.monotonic() >= self._reopen_at:
            self.close()
        if self._reader is None:
            self._before |= self.seen
            self._fruitful = False
            self._reader = self._broker.open_reader(Queue.REJECTS)
            self._reopen_at = time.monotonic() + self._hold
        return self._reader

    def _lose_reader(self, error: BrokerUnreachable) -> None:
        """Let the next batch open another one, unless this one was good for nothing."""
        if not self._fruitful:
            raise error
        self.close()

    def _fresh(
        self, reader: Reader, deliveries: Sequence[Delivery], limit: int
    ) -> list[LockedReject]:
        fresh: list[LockedReject] = []
        unremoved: list[tuple[bytes, Delivery]] = []
        for delivery in deliveries:
            rejection = from_delivery(delivery, self._validator)
            key = key_of(rejection)
            if key in self._unremoved:
                unremoved.append((key, delivery))
            elif key in self._before or (self._among is not None and key not in self._among):
                continue
            elif len(fresh) < limit:
                self.seen.add(key)
                fresh.append(LockedReject(rejection, delivery))
        if unremoved:
            reader.acknowledge([delivery for _, delivery in unremoved])
            self._unremoved.difference_update(key for key, _ in unremoved)
        self._fruitful = self._fruitful or bool(fresh or unremoved)
        return fresh


class FiledRejects(Rejects):
    """Rejects out of a file: nothing is removed from it."""

    def __init__(self, rejections: Iterable[Rejection], stop: Stop) -> None:
        self._rejections = iter(rejections)
        self._stop = stop
        self.total = None

    def batches(self, size: int) -> Iterator[list[LockedReject]]:
        while not self._stop.requested and (
            batch := [LockedReject(rejection) for rejection in islice(self._rejections, size)]
        ):
            yield batch

    def remove(self, held: Sequence[LockedReject]) -> None:
        pass

    def disregard(self, rejection: Rejection) -> None:
        pass


def key_of(rejection: Rejection) -> bytes:
    """Tells rejects apart: two can have the same id and other bodies.

    One that was replayed and came back has another key, by its replays.
    """
    head = repr((rejection.message_id, rejection.replays)).encode(errors="surrogatepass")
    return hashlib.blake2b(head + rejection.body, digest_size=16).digest()
