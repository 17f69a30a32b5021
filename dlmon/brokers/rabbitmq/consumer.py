"""Receiving from arrivals, and acknowledging in batches."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from operator import attrgetter
from typing import Any

from dlmon.brokers.base import Consumer
from dlmon.brokers.rabbitmq import pika_adapter
from dlmon.brokers.rabbitmq.connection import TICK, Connection
from dlmon.brokers.rabbitmq.deliveries import (
    RabbitMQToken,
    Received,
    Settlement,
    Unsettled,
    merge_settlements,
    next_channel,
    to_deliveries,
)
from dlmon.brokers.rabbitmq.streams import refuse_from_stream
from dlmon.brokers.rabbitmq.window import Window
from dlmon.errors import BrokerRefused, BrokerUnreachable, DlmonError, TopologyMismatch
from dlmon.messages import Delivery
from dlmon.runtime.stop import Stop

_LINGER = 0.02  # seconds; most of the time from publishing a single event to storing it
_CLOSE_TIMEOUT = 2.0
_QUIET = 1.0  # seconds without a delivery after which none is assumed to be on its way
_HELD_BACK = 30.0  # seconds, at most, from the first acknowledgement that is held back to its end


class RabbitMQConsumer(Consumer):
    """A consumer of one queue on a channel of its own, and on the next one when that is lost."""

    def __init__(
        self, connection: Connection, queue: str, window: Window, count: int | None, stop: Stop
    ) -> None:
        self._connection = connection
        self._queue = queue
        self._window = window
        self._count = count
        self._stop = stop
        # Only in the connection's thread.
        self._channel: Any = None
        self._consumer_tag = ""
        self._is_cancelling = False
        self._delivered = 0  # on this channel
        self._held = 0  # of these, how many are not acknowledged
        self._held_bytes = 0
        self._older = 0  # of these, how many came before the last change of the window
        self._capacity = 0  # how many of them there are at most, until the next change
        self._granted = 0  # how many the broker may have delivered on this channel, at most
        self._allowed: int | None = None  # how many it may ever deliver on this channel
        self._received_at = 0.0  # the last delivery, where only so many are allowed
        self._settlements: list[Settlement] = []  # not sent yet
        self._settled = 0  # how many deliveries they are for
        self._settled_bytes = 0
        self._held_back_at = 0.0  # the first of them
        self._is_closing = False
        # Guarded, for both threads.
        self._changed = threading.Condition()
        self._channel_number = next_channel()
        self._buffer: deque[Received] = deque()
        self._wanted: int | None = None  # how many `receive` waits for
        self._unsettled = Unsettled()
        self._handed_out = 0
        self._failure: DlmonError | None = None
        self._closed = False
        connection.add_listener(self)

    def receive(self, limit: int, timeout: float) -> list[Delivery]:
        deadline = time.monotonic() + timeout
        with self._changed:
            if self._count is not None:
                limit = min(limit, self._count - self._handed_out)
            if self._stop.requested or limit <= 0:
                return []
            self._wait_for(1, deadline)
            if self._buffer:
                room = self._window.size - len(self._unsettled)
                self._wait_for(min(limit, room), time.monotonic() + _LINGER)
            if self._failure is not None:
                raise self._failure
            if not self._buffer and self._count is not None:
                self._connection.submit(self._settle)
            number = self._channel_number
            received = [self._buffer.popleft() for _ in range(min(limit, len(self._buffer)))]
            self._unsettled.add([method.delivery_tag for method, _, _ in received])
            self._handed_out += len(received)
        refuse_from_stream(received, self._queue)
        return to_deliveries(received, number)

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        with self._changed:
            number = self._channel_number
            current = [
                delivery
                for delivery in deliveries
                if isinstance(delivery.token, RabbitMQToken) and delivery.token.channel == number
            ]
            before = len(self._unsettled)
            settlements = list(self._unsettled.settle(list(map(_tag_of, current))))
            settled = before - len(self._unsettled)
        settled_bytes = sum(map(len, map(_body_of, current)))

        def acknowledge() -> None:
            if self._channel_number == number and self._channel is not None:
                if not self._settlements:
                    self._held_back_at = time.monotonic()
                self._settlements = merge_settlements([*self._settlements, *settlements])
                self._settled += settled
                self._settled_bytes += settled_bytes
                self._settle()

        if settlements:
            self._connection.submit(acknowledge)

    def close(self) -> None:
        self._connection.remove_listener(self)
        if self._connection.submit(self._close_channel):
            with self._changed:
                self._changed.wait_for(lambda: self._closed, _CLOSE_TIMEOUT)

    def _wait_for(self, count: int, deadline: float) -> None:
        """Wait until so many are in the buffer, or there is a reason to wait no longer."""
        self._wanted = count
        while len(self._buffer) < count and self._failure is None and not self._stop.requested:
            self._connection.check_thread()
            left = deadline - time.monotonic()
            if left <= 0:
                break
            self._changed.wait(min(left, TICK))
        self._wanted = None

    # In the connection's thread.

    def on_connected(self, connection: Any) -> None:
        connection.channel(on_open_callback=self._on_channel_open)

    def on_disconnected(self, error: DlmonError) -> None:
        self._reset()
        if isinstance(error, TopologyMismatch):
            self._fail(error)

    def _on_channel_open(self, channel: Any) -> None:
        if self._is_closing:  # `close` was called meanwhile
            channel.close()
            return
        channel.add_on_close_callback(self._on_channel_closed)
        channel.add_on_cancel_callback(self._on_cancel)
        self._reset()
        self._channel = channel
        self._window.restart()
        self._delivered = self._held = self._held_bytes = 0
        if self._count is not None:
            self._allowed = self._count - self._handed_out
        self._consume()

    def _reset(self) -> None:
        """Forget what was delivered: it will be delivered again."""
        self._channel = None
        self._is_cancelling = False
        self._settlements.clear()
        self._settled = self._settled_bytes = 0
        with self._changed:
            self._channel_number = next_channel()
            self._buffer.clear()
            self._unsettled = Unsettled()

    def _on_cancelled(self, _frame: object) -> None:
        self._is_cancelling = False
        self._consume()

    def _consume(self) -> None:
        wanted = self._window.size - self._held
        if self._allowed is not None:
            wanted = min(wanted, self._allowed - self._delivered)
        if wanted <= 0 or self._channel is None or not self._channel.is_open:
            return
        self._granted = self._delivered + wanted
        self._older = self._held
        self._capacity = self._held + wanted
        self._channel.basic_qos(prefetch_count=wanted)
        self._consumer_tag = self._channel.basic_consume(self._queue, self._on_delivery)

    def _settle(self, *, at_once: bool = False) -> None:
        """Send the acknowledgements, without letting more be delivered than are wanted.

        Where that takes a cancel, they are held back while deliveries are on their way: RabbitMQ
        requeues what reaches its channel after the cancel, and counts it as delivered.
        """
        if self._channel is None or not self._settlements:
            return
        # For these, the broker does not deliver others to the consumer that there is now.
        older = min(self._older, self._settled)
        granted = self._granted + self._settled - older
        if self._allowed is not None and granted > self._allowed and self._consumer_tag:
            now = time.monotonic()
            expects_more = self._delivered < self._granted and now - self._received_at < _QUIET
            if expects_more and now - self._held_back_at < _HELD_BACK and not at_once:
                return
            # The broker handles it before the acknowledgements that follow.
            self._cancel()
        self._granted = granted
        for tag, multiple in self._settlements:
            self._channel.basic_ack(tag, multiple)
        self._held -= self._settled
        self._held_bytes -= self._settled_bytes
        self._older -= older
        self._capacity -= older
        self._settlements.clear()
        self._settled = self._settled_bytes = 0
        if not self._consumer_tag and not self._is_cancelling:
            self._consume()

    def _cancel(self) -> None:
        """Have no more delivered; once the broker knows, consume as the window allows then."""
        self._channel.basic_cancel(self._consumer_tag, self._on_cancelled)
        self._consumer_tag = ""
        self._is_cancelling = True

    def _on_delivery(self, _channel: Any, method: Any, properties: Any, body: bytes) -> None:
        self._delivered += 1
        self._held += 1
        self._held_bytes += len(body)
        # Without the lock, which would be taken for each message: a deque needs none.
        self._buffer.append((method, properties, body))
        if self._wanted is not None and len(self._buffer) >= self._wanted:
            with self._changed:
                self._changed.notify()
        if self._allowed is not None:
            self._received_at = time.monotonic()
            if self._delivered == self._granted:
                self._settle()
        if self._consumer_tag:
            self._fit_window()

    def _fit_window(self) -> None:
        window, held, held_bytes = self._window, self._held, self._held_bytes
        if window.is_burst(held, held_bytes):
            # What is on its way is given back by pika.
            window.shrink(held, held_bytes)
            self._cancel()
        elif held == self._capacity and window.grow(held, held_bytes):
            self._cancel()  # nothing is on its way

    def _on_cancel(self, _frame: object) -> None:
        self._connection.reconnect(BrokerUnreachable(f"The queue {self._queue} was deleted."))

    def _on_channel_closed(self, _channel: Any, reason: BaseException) -> None:
        self._reset()
        if pika_adapter.is_own_close(reason):
            # `Connection` closes channels too, when it gives a connection up for a new one.
            if self._is_closing:
                with self._changed:
                    self._closed = True
                    self._changed.notify()
            return
        error = self._connection.explain(reason)
        if isinstance(error, BrokerRefused | TopologyMismatch):
            self._fail(error)
        else:
            self._connection.reconnect(error)

    def _fail(self, error: DlmonError) -> None:
        with self._changed:
            self._failure = error
            self._changed.notify()

    def _close_channel(self) -> None:
        self._is_closing = True
        if self._channel is not None and self._channel.is_open:
            self._settle(at_once=True)
            self._channel.close()  # the broker gives back what was not acknowledged
        else:
            with self._changed:
                self._closed = True
                self._changed.notify()


_tag_of = attrgetter("token.tag")
_body_of = attrgetter("body")
