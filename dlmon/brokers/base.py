"""The contract that RabbitMQ and the local broker both keep.

Everything is done in batches, because batches are what make it fast. No method returns before the
broker has taken responsibility for what it was given, and none acknowledges by itself.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from dlmon.config.names import Names
from dlmon.errors import BrokerUnreachable, DlmonError
from dlmon.messages import (
    DEFAULT_FRAME_BYTES,
    Delivery,
    Message,
    Queue,
    max_properties_bytes,
)
from dlmon.runtime.closeable import Closeable
from dlmon.runtime.stop import Stop

DELIVERY_LIMIT = 20
"""Times that arrivals hands out a message again before it is dead-lettered to rejects."""


@dataclass(frozen=True, slots=True)
class Depth:
    """Messages in a queue: those that are `ready`, and those `held` by consumers and readers now.

    Where the broker does not say how many are held, `held` is None and `holders` is the number of
    consumers and readers. is_stream: what is read stays, `ready` is all that the stream has, and
    less than before is no loss.
    """

    ready: int
    held: int | None
    holders: int = 0
    is_stream: bool = False

    @property
    def shared(self) -> bool:
        """True when a consumer or a reader holds messages, or may."""
        return bool(self.held or self.holders)


class Check(NamedTuple):
    """One step of `dlmon doctor`: what was checked, and an error where something is wrong.

    `text` says what was found, or why it cannot be known (`known` is False then). warning: it works
    as it is, and could lose or hold messages some day.
    """

    name: str
    text: str
    error: DlmonError | None = None
    known: bool = True
    warning: bool = False


class Consumer(Closeable):
    """Receives from arrivals, reconnecting by itself. Use as a context manager."""

    @abstractmethod
    def receive(self, limit: int, timeout: float) -> list[Delivery]:
        """The next batch: up to `limit` deliveries, or none when idle for `timeout` seconds.

        Once a first delivery is there, at most 50 ms more are waited for others. Returns early,
        with what there is, when a stop is requested. While the broker is away it reconnects with
        capped, jittered backoff (and returns none at `timeout`).

        Raises: BrokerRefused, TopologyMismatch (not retried at the first connect).
        """

    @abstractmethod
    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Settle deliveries for good. Stale ones (from before a reconnect) are ignored: they will
        be delivered again."""

    @abstractmethod
    def close(self) -> None:
        """Give back what was not acknowledged, once, and stop receiving."""


class Reader(Closeable):
    """Looks at a queue: holds deliveries while open, gives back the unacknowledged at close.

    Looking never costs a message and brings none closer to a delivery limit of dlmon's own.
    """

    @abstractmethod
    def read(self, limit: int, timeout: float = 5.0) -> list[Delivery]:
        """Up to `limit` further deliveries that are not held; an empty list once there are no more.

        The first of them may be in any order: sort by when they were rejected.
        """

    @abstractmethod
    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Remove deliveries from the queue for good, confirmed before this returns.

        Raises: BrokerUnreachable when the connection was lost: all that is held was given back.
        """

    @abstractmethod
    def close(self) -> None:
        """Give back all that was not acknowledged."""


TAP_LIMIT = 1_000
"""News of rejects that are kept between two calls of `Tap.read`; older ones are dropped."""


class Tap(Closeable):
    """Hears of rejects as they come, and takes nothing from the queue. Use as a context manager."""

    @abstractmethod
    def read(self) -> list[Delivery]:
        """The rejects that came since the last call, the newest `TAP_LIMIT` or somewhat more of
        them. Does not wait, and there is nothing to acknowledge.

        Raises: BrokerUnreachable, BrokerRefused.
        """


Confirmed: TypeAlias = Callable[[Sequence[Message]], None]
"""Called with messages the broker has confirmed, in the thread that publishes, in any order."""


class Broker(Closeable):
    """One connection to a broker and its two queues. Use as a context manager.

    Made by `dlmon.brokers.open_broker`, which has connected and declared the topology.
    """

    names: Names
    """What it calls the exchange, the queues and the routing keys."""

    publishes_beside = False
    """Whether publishing in another thread takes nothing from receiving in this one."""

    has_policies = False
    """Whether an operator can have the broker drop messages by rules that dlmon does not see."""

    @abstractmethod
    def publish(
        self,
        queue: Queue,
        batches: Iterable[Sequence[Message]],
        *,
        confirmed: Confirmed | None = None,
        stop: Stop | None = None,
        patience: float | None = None,
    ) -> int:
        """Publish every message of every batch, and return how many once the broker has them all.

        A batch goes out as soon as the iterable yields it, while a sliding window of unconfirmed
        messages stays open: an iterable that yields batches at the times they are due is thus
        published on time. After a reconnect, unconfirmed messages are published again.

        Raises: PublishRefused with the messages that were refused or unroutable; nothing more is
        taken from the iterable once there is one, and all others in the window are waited for.
        BrokerUnreachable when RabbitMQ has answered nothing for `patience` seconds, because of an
        alarm, say: what was not confirmed may still arrive.
        Interrupted when `stop` has expired before everything was confirmed. (A stop that is only
        requested has no effect here: it is the iterable that should end.)
        """

    @abstractmethod
    def open_consumer(self, prefetch: int, count: int | None = None) -> Consumer:
        """Start receiving from arrivals.

        prefetch: how many unacknowledged deliveries the broker may hand out ahead.
        count: how many will be received in all; no more than these are ever taken out.

        Raises: UsageError for a count where several queues are consumed from.
        """

    @abstractmethod
    def open_reader(self, queue: Queue, limit: int | None = None) -> Reader:
        """Look at up to `limit` messages of a queue, or at all of them."""

    @abstractmethod
    def open_tap(self) -> Tap:
        """Hear of rejects from now on.

        Raises: BrokerUnreachable. BrokerRefused without the permissions that it needs.
        """

    @abstractmethod
    def depth(self, queue: Queue) -> Depth:
        """How many messages a queue has; of several for arrivals, all of them together."""

    def depths(self, queue: Queue) -> dict[str, Depth]:
        """The depth of each queue by its name: of several for arrivals, each."""
        return {self.names.queue(queue): self.depth(queue)}

    def has_no_arrivals(self) -> bool:
        """Whether arrivals is empty, and no consumer has a message of it in hand as far as the
        broker says. False where it does not answer."""
        try:
            depth = self.depth(Queue.ARRIVALS)
        except BrokerUnreachable:
            return False
        return depth.ready == 0 and not depth.held

    @property
    def max_properties_bytes(self) -> int:
        """Bytes that the properties of one message, headers included, may have now: they have to
        fit into one frame. It can change with each reconnect."""
        return max_properties_bytes(DEFAULT_FRAME_BYTES)

    @property
    def connected(self) -> bool:
        """Whether the broker can be talked to now."""
        return True

    @property
    def reconnects(self) -> int:
        """How often a connection was lost and made again."""
        return 0

    @abstractmethod
    def close(self) -> None:
        """Close the connection. Consumers and readers are closed before."""
