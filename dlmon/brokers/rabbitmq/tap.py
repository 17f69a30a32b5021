"""News of rejects: a queue of one's own beside theirs."""

from __future__ import annotations

import secrets
import threading
from concurrent.futures import Future
from typing import Any

from dlmon.brokers.base import TAP_LIMIT, Tap
from dlmon.brokers.rabbitmq.connection import Connection
from dlmon.brokers.rabbitmq.deliveries import Received, next_channel, to_deliveries
from dlmon.config.names import DEFAULT_EXCHANGE, Names
from dlmon.errors import BrokerRefused, DlmonError
from dlmon.messages import Delivery, Queue
from dlmon.runtime.stop import Stop

_ARGUMENTS = {"x-max-length": TAP_LIMIT, "x-overflow": "drop-head"}


class RabbitMQTap(Tap):
    """A queue that ends with the connection, and gets a copy of what is parked.

    It is short, and drops its oldest: with a prefetch as long, a reader that comes late costs the
    broker no more than that.
    """

    def __init__(self, connection: Connection, names: Names, stop: Stop) -> None:
        """Raises: BrokerUnreachable, BrokerRefused, Interrupted."""
        if names.exchange == DEFAULT_EXCHANGE:
            raise BrokerRefused(
                "News of rejects needs an exchange that a queue can be bound to, and the default "
                "exchange is none: name one with --exchange."
            )
        self._connection = connection
        self._names = names
        self._channel: Any = None  # only in the connection's thread
        self._number = next_channel()
        self._bound: Future[None] = Future()
        self._lock = threading.Lock()
        self._received: list[Received] = []
        self._error: DlmonError | None = None
        connection.add_listener(self)
        try:
            connection.wait_for(self._bound, lambda: stop.requested)
        except DlmonError:
            self.close()
            raise

    def read(self) -> list[Delivery]:
        with self._lock:
            if self._error is not None:
                raise self._error
            received, self._received = self._received, []
        if received:
            self._connection.submit(self._acknowledge)
        return to_deliveries(received, self._number)

    def close(self) -> None:
        self._connection.remove_listener(self)
        self._connection.submit(self._close_channel)

    # In the connection's thread.

    def on_connected(self, connection: Any) -> None:
        connection.channel(on_open_callback=self._on_channel_open)

    def on_disconnected(self, error: DlmonError) -> None:
        with self._lock:
            self._error = error
            self._received = []
        if not self._bound.done():
            self._bound.set_exception(error)

    def _on_channel_open(self, channel: Any) -> None:
        self._channel = channel
        channel.add_on_close_callback(self._on_channel_closed)
        # By this name, permissions that are for the namespace are for it too.
        name = f"{self._names.queue(Queue.REJECTS)}.tap.{secrets.token_hex(8)}"
        channel.queue_declare(name, exclusive=True, auto_delete=True, arguments=_ARGUMENTS)
        channel.queue_bind(name, self._names.exchange, self._names.routing_key(Queue.REJECTS))
        channel.basic_qos(prefetch_count=TAP_LIMIT)
        channel.basic_consume(name, self._on_delivery, callback=self._on_consume_ok)

    def _on_consume_ok(self, _frame: object) -> None:
        with self._lock:
            self._error = None
        if not self._bound.done():
            self._bound.set_result(None)

    def _on_delivery(self, _channel: Any, method: Any, properties: Any, body: bytes) -> None:
        with self._lock:
            self._received.append((method, properties, body))

    def _acknowledge(self) -> None:
        if self._channel is not None and self._channel.is_open:
            self._channel.basic_ack(0, multiple=True)  # all that was delivered

    def _on_channel_closed(self, _channel: Any, reason: BaseException) -> None:
        self.on_disconnected(self._connection.explain(reason))

    def _close_channel(self) -> None:
        if self._channel is not None and self._channel.is_open:
            self._channel.close()
