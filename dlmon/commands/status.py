"""How many messages the two queues have, once or again and again."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from dlmon.brokers.base import Broker, Depth
from dlmon.brokers.counts import count_vanished
from dlmon.errors import BrokerUnreachable
from dlmon.messages import Queue
from dlmon.runtime.stop import Stop

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Status:
    """The depths at a time (seconds since the epoch), and how fast they change.

    rates: messages a second by which each queue grows; none where there was no look before.
    vanished: how many messages each queue has fewer than at the look before, where nothing consumed
    from it at either look. several: where arrivals has several queues, the depth of each by its
    name.
    """

    at: float
    depths: dict[Queue, Depth]
    rates: dict[Queue, float]
    vanished: dict[Queue, int] = field(default_factory=dict)
    several: dict[str, Depth] = field(default_factory=dict)


def look(broker: Broker, before: Status | None = None) -> Status:
    """How it is now.

    Raises: BrokerError.
    """
    depths = {queue: broker.depth(queue) for queue in Queue}
    now = time.time()
    rates: dict[Queue, float] = {}
    if before is not None and now > before.at:
        rates = {
            queue: (_count(depth) - _count(before.depths[queue])) / (now - before.at)
            for queue, depth in depths.items()
        }
    vanished = {
        queue: count
        for queue, depth in depths.items()
        if before is not None and broker.has_policies
        if (count := count_vanished(before.depths[queue], depth))
    }
    several = broker.depths(Queue.ARRIVALS) if len(broker.names.all_arrivals) > 1 else {}
    return Status(now, depths, rates, vanished, several)


def watch(broker: Broker, stop: Stop, interval: float) -> Iterator[Status]:
    """How it is every `interval` seconds until a stop, with gaps while the broker is away.

    Raises: BrokerRefused, TopologyMismatch.
    """
    status: Status | None = None
    while not stop.requested:
        try:
            status = look(broker, status)
        except BrokerUnreachable as error:
            _log.warning("%s", error)
            status = None
        else:
            yield status
        stop.wait(interval)


def _count(depth: Depth) -> int:
    return depth.ready + (depth.held or 0)
