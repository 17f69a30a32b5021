"""The contract of `dlmon.brokers.base`, kept by one SQLite file."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from dlmon.brokers.base import Broker, Confirmed, Consumer, Depth, Reader
from dlmon.brokers.local.database import Database, GiveUp
from dlmon.brokers.local.lease import LEASE, Lease, LeaseLost, depth
from dlmon.brokers.local.publisher import LocalPublisher
from dlmon.brokers.local.tap import LocalTap
from dlmon.config.names import Names
from dlmon.errors import BrokerUnreachable, Interrupted
from dlmon.messages import Delivery, Message, Queue
from dlmon.runtime.stop import Stop

_LINGER = 0.05
_POLL = 0.01

_log = logging.getLogger(__name__)


class LocalBroker(Broker):
    """Queues in one file. Each consumer, reader and publisher has a connection of its own."""

    def __init__(
        self, path: Path, names: Names, stop: Stop | None = None, *, lease: float = LEASE
    ) -> None:
        """Open the file, and create it with its folder where it is missing.

        stop: ends every wait. lease: seconds after which a consumer or a reader that does not
        renew has ended.

        Raises: BrokerUnreachable.
        """
        # Also so that SQLite takes no name, such as ":memory:", for something special.
        self._path = path.absolute()
        self.names = names
        self._stop = stop or Stop()
        self._lease = lease
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BrokerUnreachable(
                f"Cannot create the folder {self._path.parent} for the broker's file "
                f"({error.strerror}): choose another path."
            ) from error
        # Kept open: when the last connection is closed, SQLite removes the write-ahead log, and
        # the next connection would have to make it again.
        self._database = Database(self._path)
        try:
            self._database.prepare()
        except BrokerUnreachable:
            self._database.close()
            raise

    def publish(
        self,
        queue: Queue,
        batches: Iterable[Sequence[Message]],
        *,
        confirmed: Confirmed | None = None,
        stop: Stop | None = None,
        patience: float | None = None,  # noqa: ARG002  (no alarm can block it)
    ) -> int:
        name = self.names.queue(queue)
        return LocalPublisher(self._path, name, confirmed, stop or self._stop).run(batches)

    def open_consumer(self, prefetch: int, count: int | None = None) -> LocalConsumer:
        lease = self._open_lease(Queue.ARRIVALS, counts=True)
        return LocalConsumer(lease, self._stop, prefetch, count)

    def open_reader(self, queue: Queue, limit: int | None = None) -> LocalReader:
        return LocalReader(self._open_lease(queue, counts=False), self._stop, limit)

    def open_tap(self) -> LocalTap:
        return LocalTap(self._path, self.names, lambda: self._stop.expired)

    def depth(self, queue: Queue) -> Depth:
        return depth(self._database, self.names.queue(queue), lambda: self._stop.expired)

    def close(self) -> None:
        self._database.close()

    def _open_lease(self, queue: Queue, *, counts: bool) -> Lease:
        return Lease(
            self._path,
            self.names,
            queue,
            counts=counts,
            seconds=self._lease,
            give_up=lambda: self._stop.expired,
        )


class LocalConsumer(Consumer):
    """Takes messages from arrivals when asked to, never ahead."""

    def __init__(self, lease: Lease, stop: Stop, prefetch: int, count: int | None) -> None:
        self._lease = lease
        self._stop = stop
        self._prefetch = prefetch
        self._left = count
        self._unsettled: set[object] = set()

    def receive(self, limit: int, timeout: float) -> list[Delivery]:
        deadline = time.monotonic() + timeout

        def give_up() -> bool:
            return self._stop.requested or time.monotonic() >= deadline

        deliveries: list[Delivery] = []
        # Interrupted: another process kept the file locked until the deadline.
        with suppress(Interrupted):
            while not self._stop.requested:
                seen = self._lease.version(give_up)
                taken = self._take(limit - len(deliveries), give_up)
                if taken and not deliveries:
                    deadline = min(deadline, time.monotonic() + _LINGER)
                deliveries += taken
                if deliveries and (len(deliveries) == limit or self._room == 0):
                    break
                if not self._changed(seen, give_up):
                    break
        return deliveries

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        try:
            settled = self._lease.settle(deliveries, self._has_expired)
        except LeaseLost:
            self._restart_lease()
        else:
            self._unsettled.difference_update(settled)

    def close(self) -> None:
        self._lease.close()

    @property
    def _room(self) -> int:
        """How many more may be taken now."""
        room = self._prefetch - len(self._unsettled)
        return room if self._left is None else min(room, self._left)

    def _take(self, limit: int, give_up: GiveUp) -> list[Delivery]:
        try:
            taken = self._lease.take(min(limit, self._room), give_up)
        except LeaseLost:
            self._restart_lease()
            return self._take(limit, give_up)
        self._unsettled.update(delivery.token for delivery in taken)
        if self._left is not None:
            self._left -= len(taken)
        return taken

    def _changed(self, seen: int, give_up: GiveUp) -> bool:
        """Wait until something has changed. False when there is no more time."""
        while not give_up():
            self._stop.wait(_POLL)
            if self._lease.version(give_up) != seen:
                return True
        return False

    def _restart_lease(self) -> None:
        _log.warning(
            "This process did not run for a while, or the clock was set: %d events that it had in "
            "hand will be delivered again.",
            len(self._unsettled),
        )
        self._unsettled.clear()
        self._lease.start(self._has_expired)

    def _has_expired(self) -> bool:
        return self._stop.expired


class LocalReader(Reader):
    """Holds what it has read."""

    def __init__(self, lease: Lease, stop: Stop, limit: int | None) -> None:
        self._lease = lease
        self._stop = stop
        self._left = limit

    def read(self, limit: int, timeout: float = 5.0) -> list[Delivery]:  # noqa: ARG002
        # There is nothing to wait for: all rows are visible at once.
        wanted = limit if self._left is None else min(limit, self._left)
        taken = self._lease.take(wanted, lambda: self._stop.expired)
        if self._left is not None:
            self._left -= len(taken)
        return taken

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        self._lease.settle(deliveries, lambda: self._stop.expired)

    def close(self) -> None:
        self._lease.close()
