"""`dlmon inspect-rejects`: look at rejects, and change nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

from dlmon.brokers.base import Broker, Depth
from dlmon.messages import Queue
from dlmon.rejects.actions import CHUNK, Progress
from dlmon.rejects.filters import RejectFilter
from dlmon.rejects.rejection import Rejection, from_delivery
from dlmon.runtime.stop import Stop
from dlmon.validation.validator import Validator


@dataclass(frozen=True, slots=True)
class Look:
    """What a look came to.

    depth: of the queue, before. most_deliveries: how often the most often handed out of them was
    handed out before. interrupted: a stop ended it. ran_out: there were fewer than `depth` said,
    because somebody else holds or has taken the others.
    """

    depth: Depth
    looked: int
    selected: int
    most_deliveries: int
    interrupted: bool
    ran_out: bool

    @property
    def partial(self) -> bool:
        """True when somebody else holds rejects, or may, that this look could not see."""
        return self.ran_out or self.depth.shared

    def count(self, *, everything: bool) -> int:
        """How many rejects were meant. everything: no filter was given, so that those count too
        that could not be looked at."""
        there = self.depth.ready + (self.depth.held or 0)
        return max(self.selected, there) if everything else self.selected


def look(
    broker: Broker,
    validator: Validator,
    selection: RejectFilter,
    visit: Callable[[Sequence[Rejection]], None],
    *,
    stop: Stop,
    progress: Progress,
    limit: int | None = None,
) -> Look:
    """Show the rejects that are there now to `visit`, some at a time, in no promised order.

    limit: how many of those that are selected. Raises: BrokerError, Interrupted.
    """
    depth = broker.depth(Queue.REJECTS)
    looked = selected = most_deliveries = 0
    ran_out = False
    with broker.open_reader(Queue.REJECTS, depth.ready) as reader:
        while looked < depth.ready and (limit is None or selected < limit) and not stop.requested:
            deliveries = reader.read(CHUNK)
            if not deliveries:
                ran_out = not stop.requested
                break
            matching = (
                rejection
                for delivery in deliveries
                if selection.matches(rejection := from_delivery(delivery, validator))
            )
            chosen = list(islice(matching, None if limit is None else limit - selected))
            looked += len(deliveries)
            selected += len(chosen)
            most_deliveries = max(most_deliveries, *(one.delivery_count for one in deliveries))
            visit(chosen)
            progress(looked, depth.ready)
    return Look(
        depth,
        looked,
        selected,
        most_deliveries,
        interrupted=stop.requested and looked < depth.ready,
        ran_out=ran_out,
    )
