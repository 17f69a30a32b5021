"""`dlmon inspect-rejects`: look at rejects, and change nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

from dlmon.brokers.base import Broker, Depth
from dlmon.brokers.counts import count_vanished
from dlmon.messages import Delivery, Queue
from dlmon.rejects.actions import BATCH_SIZE, OnProgress
from dlmon.rejects.filters import RejectFilter
from dlmon.rejects.rejection import Rejection, from_delivery
from dlmon.runtime.stop import Stop
from dlmon.validation.validator import Validator


@dataclass(frozen=True, slots=True)
class Look:
    """The result of a look at rejects.

    depth: of the queue, before. most_deliveries: the highest delivery count of a message.
    interrupted: a stop request ended it. ran_out: there were fewer than `depth` says, because
    another reader holds the others or has taken them. vanished: how many fewer the queue has
    afterwards, where nothing else consumed from it.
    """

    depth: Depth
    looked: int
    selected: int
    most_deliveries: int
    interrupted: bool
    ran_out: bool
    vanished: int = 0

    @property
    def partial(self) -> bool:
        """True when another reader holds rejects, or may, that this look did not get."""
        return (self.ran_out and not self.vanished) or self.depth.shared

    def count(self, *, everything: bool) -> int:
        """How many rejects there are. everything: no filter was given, so that those that another
        reader holds count too."""
        in_queue = self.depth.ready + (self.depth.held or 0)
        return max(self.selected, in_queue) if everything else self.selected


def look(
    broker: Broker,
    validator: Validator,
    reject_filter: RejectFilter,
    visit: Callable[[Sequence[Rejection]], None],
    *,
    stop: Stop,
    on_progress: OnProgress,
    limit: int | None = None,
    read: Callable[[Delivery], Rejection] | None = None,
) -> Look:
    """Give the selected rejects that are in the queue now to `visit`, some at a time, in any order.

    limit: how many of the selected. read: what a message is; by default, a rejection of dlmon's.

    Raises: BrokerError, Interrupted.
    """
    read = read or partial(from_delivery, validator=validator)
    depth = broker.depth(Queue.REJECTS)
    looked = selected = most_deliveries = 0
    ran_out = False
    with broker.open_reader(Queue.REJECTS, depth.ready) as reader:
        while looked < depth.ready and (limit is None or selected < limit) and not stop.requested:
            deliveries = reader.read(BATCH_SIZE)
            if not deliveries:
                ran_out = not stop.requested
                break
            matching = (
                rejection
                for delivery in deliveries
                if reject_filter.matches(rejection := read(delivery))
            )
            chosen = list(islice(matching, None if limit is None else limit - selected))
            looked += len(deliveries)
            selected += len(chosen)
            most_deliveries = max(most_deliveries, *(one.delivery_count for one in deliveries))
            visit(chosen)
            on_progress(looked, depth.ready)
    vanished = 0
    if broker.has_policies and not stop.requested:
        vanished = count_vanished(depth, broker.depth(Queue.REJECTS))
    return Look(
        depth,
        looked,
        selected,
        most_deliveries,
        interrupted=stop.requested and looked < depth.ready,
        ran_out=ran_out,
        vanished=vanished,
    )
