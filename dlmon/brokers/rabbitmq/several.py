"""Receiving from several queues at once."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence

from dlmon.brokers.base import Consumer
from dlmon.messages import Delivery
from dlmon.runtime.stop import Stop

_TURN = 0.02  # seconds for which one queue is waited for while all are empty


class SeveralConsumers(Consumer):
    """Consumers of one queue each, in turns: a long queue keeps no other one waiting."""

    def __init__(self, consumers: Sequence[Consumer], stop: Stop) -> None:
        self._consumers = deque(consumers)
        self._stop = stop

    def receive(self, limit: int, timeout: float) -> list[Delivery]:
        deadline = time.monotonic() + timeout
        deliveries: list[Delivery] = []
        while True:
            for consumer in self._consumers:
                left = max(0.0, deadline - time.monotonic())
                turn = 0.0 if deliveries else min(_TURN, left)
                deliveries += consumer.receive(limit - len(deliveries), turn)
            self._consumers.rotate(-1)
            if deliveries or self._stop.requested or time.monotonic() >= deadline:
                return deliveries

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        # Each knows its own by their tokens, and takes others for stale ones.
        for consumer in self._consumers:
            consumer.acknowledge(deliveries)

    def close(self) -> None:
        for consumer in self._consumers:
            consumer.close()
