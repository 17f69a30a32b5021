"""Looking at a queue: holding all of it, however long it is, and giving it back."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from dlmon.brokers.base import Depth, Reader
from dlmon.brokers.rabbitmq.connection import Connection
from dlmon.brokers.rabbitmq.deliveries import (
    RabbitMQToken,
    Received,
    Unsettled,
    next_channel,
    to_deliveries,
)
from dlmon.brokers.rabbitmq.streams import refuse_from_stream
from dlmon.errors import BrokerUnreachable, DlmonError, Interrupted
from dlmon.messages import Delivery
from dlmon.runtime.stop import Stop

_FIRST_PREFETCH = 2_000
_MAX_PREFETCH = 8_000
_IDLE = 0.05
_DEPTH_TICK = 0.005
_CLOSE_TIMEOUT = 2.0


class RabbitMQReader(Reader):
    """One channel with a few consumers at a time, and others after them.

    Each receives as many as its prefetch, and further consumers receive what follows: without a
    prefetch, a quorum queue delivers 2,000 messages to a consumer and then stops. While a consumer
    is added or cancelled, which the queue writes to its log, another one receives.
    """

    def __init__(
        self,
        connection: Connection,
        queue: str,
        limit: int | None,
        stop: Stop,
        depth: Callable[[], Depth],
    ) -> None:
        """depth: asks for the depth of the queue."""
        self._connection = connection
        self._queue = queue
        self._stop = stop
        self._depth = depth
        # Only in the connection's thread.
        self._channel: Any = None
        self._left = limit
        self._expected: dict[str, int] = {}  # further deliveries, by consumer tag
        # The larger the prefetch, the less often the queue goes through all that is unacknowledged:
        # reading a million is twice as fast. It starts small: a short look holds few messages.
        self._prefetch = _FIRST_PREFETCH
        # Guarded, for both threads.
        self._changed = threading.Condition()
        self._buffer: deque[Received] = deque()
        self._wanted = 0
        self._taken = 0
        self._channel_number = next_channel()
        self._unsettled = Unsettled()
        self._started = False
        self._exhausted = limit == 0
        self._lost: DlmonError | None = None
        connection.add_listener(self)

    def read(self, limit: int, timeout: float = 5.0) -> list[Delivery]:
        self._fill(limit, timeout)
        with self._changed:
            if self._lost is not None:
                raise self._lost
            received = [self._buffer.popleft() for _ in range(min(limit, len(self._buffer)))]
            self._unsettled.add([method.delivery_tag for method, _, _ in received])
        refuse_from_stream(received, self._queue)
        return to_deliveries(received, self._channel_number)

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        tags = [
            delivery.token.tag
            for delivery in deliveries
            if isinstance(delivery.token, RabbitMQToken)
            and delivery.token.channel == self._channel_number
        ]
        with self._changed:
            settlements = list(self._unsettled.settle(tags))
        answer: Future[None] = Future()

        def acknowledge() -> None:
            if self._lost is not None:
                return
            for tag, multiple in settlements:
                self._channel.basic_ack(tag, multiple)
            # Acknowledgements are not answered. What follows on their channel is, after they took
            # effect.
            self._channel.basic_qos(
                prefetch_count=self._prefetch, callback=lambda _: answer.set_result(None)
            )

        if not self._connection.submit(acknowledge):
            self.on_disconnected(BrokerUnreachable("The connection was lost."))
        try:
            self._connection.wait_for(answer, lambda: self._stop.expired or self._lost is not None)
        except Interrupted:
            if self._lost is not None:
                raise self._lost from None
            raise

    def close(self) -> None:
        self._connection.remove_listener(self)
        if self._lost is not None:
            return
        # Wait until the queue counts what was given back as ready: the next look sees all of it.
        with suppress(BrokerUnreachable, Interrupted):
            holders = self._depth().holders
            self._connection.submit(self._close_channel)
            deadline = time.monotonic() + _CLOSE_TIMEOUT
            while self._depth().holders >= holders and time.monotonic() < deadline:
                self._stop.wait(_DEPTH_TICK)

    def _fill(self, count: int, timeout: float) -> None:
        """Wait until so many are in the buffer, or no more will come."""
        with self._changed:
            self._wanted = count
        self._connection.submit(self._consume)
        deadline = time.monotonic() + timeout
        while True:
            self._connection.check_thread()
            with self._changed:
                before = self._taken
                self._changed.wait_for(lambda: self._has_enough(count), _IDLE)
                if self._has_enough(count) or self._stop.requested:
                    return
                idle = self._started and self._taken == before
            now = time.monotonic()
            if not idle:
                deadline = max(deadline, now + timeout) if self._taken != before else deadline
            elif now >= deadline or self._is_drained(before):
                return

    def _is_drained(self, taken: int) -> bool:
        """Whether the queue has no more for this reader, and nothing is on its way.

        The broker answers on a channel in the order in which things reach it. What the queue
        delivered before it said that it is empty has thus arrived once it is asked again.
        """
        with suppress(BrokerUnreachable, Interrupted):
            empty = self._ask_ready() == 0 and self._ask_ready() == 0
            return empty and self._taken == taken
        return False

    def _ask_ready(self) -> int:
        answer: Future[int] = Future()

        def ask() -> None:
            if self._channel is None or not self._channel.is_open:
                return
            self._channel.queue_declare(
                self._queue,
                passive=True,
                callback=lambda frame: answer.set_result(frame.method.message_count),
            )

        self._connection.submit(ask)
        return self._connection.wait_for(
            answer, lambda: self._stop.requested or self._lost is not None
        )

    def _has_enough(self, count: int) -> bool:
        return len(self._buffer) >= count or self._exhausted or self._lost is not None

    # In the connection's thread.

    def on_connected(self, connection: Any) -> None:
        connection.channel(on_open_callback=self._on_channel_open)

    def on_disconnected(self, error: DlmonError) -> None:
        with self._changed:
            self._lost = self._lost or error
            self._changed.notify()

    def _on_channel_open(self, channel: Any) -> None:
        channel.add_on_close_callback(self._on_channel_closed)
        self._channel = channel
        self._consume()

    def _consume(self) -> None:
        """Have more delivered, as far as there is room for them."""
        if self._channel is None or not self._channel.is_open:
            return
        while count := self._room():
            self._channel.basic_qos(prefetch_count=count)
            tag = self._channel.basic_consume(
                self._queue, self._on_delivery, callback=self._on_consume_ok
            )
            self._expected[tag] = count

    def _room(self) -> int:
        """How many one more consumer may take."""
        expected = sum(self._expected.values())
        if len(self._buffer) + expected > max(self._prefetch // 2, self._wanted):
            return 0
        return self._prefetch if self._left is None else min(self._prefetch, self._left - expected)

    def _on_consume_ok(self, _frame: object) -> None:
        with self._changed:
            self._started = True

    def _on_delivery(self, _channel: Any, method: Any, properties: Any, body: bytes) -> None:
        tag = method.consumer_tag
        self._expected[tag] -= 1
        if self._left is not None:
            self._left -= 1
        with self._changed:
            self._buffer.append((method, properties, body))
            self._taken += 1
            self._exhausted = self._left == 0
            if self._has_enough(self._wanted):
                self._changed.notify()
        if not self._expected[tag]:
            # Without this it would receive more when some of what it has is acknowledged.
            del self._expected[tag]
            self._prefetch = min(2 * self._prefetch, _MAX_PREFETCH)
            self._channel.basic_cancel(tag)
            self._consume()

    def _on_channel_closed(self, _channel: Any, reason: BaseException) -> None:
        self.on_disconnected(self._connection.explain(reason))

    def _close_channel(self) -> None:
        if self._channel is not None and self._channel.is_open:
            self._channel.close()
