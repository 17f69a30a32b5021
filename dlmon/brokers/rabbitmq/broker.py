"""The contract of `dlmon.brokers.base`, kept by RabbitMQ."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from typing import Any

from dlmon.brokers.base import Broker, Confirmed, Depth
from dlmon.brokers.rabbitmq.connection import Connection
from dlmon.brokers.rabbitmq.consumer import RabbitMQConsumer
from dlmon.brokers.rabbitmq.publisher import RabbitMQPublisher
from dlmon.brokers.rabbitmq.reader import RabbitMQReader
from dlmon.brokers.rabbitmq.streams import refuse_stream
from dlmon.brokers.rabbitmq.tap import RabbitMQTap
from dlmon.brokers.rabbitmq.topology import queue_name
from dlmon.config.settings import Settings
from dlmon.errors import DlmonError
from dlmon.messages import ROUTING_KEYS, Message, Queue
from dlmon.runtime.stop import Stop


class RabbitMQBroker(Broker):
    """Two connections: under a memory or disk alarm RabbitMQ stops reading from one that publishes,
    and acknowledgements on it would be stuck too."""

    has_policies = True

    def __init__(self, settings: Settings, stop: Stop | None = None) -> None:
        """Connect, and declare or check the topology.

        Raises: BrokerUnreachable, BrokerRefused, TopologyMismatch, Interrupted.
        """
        self._settings = settings
        self._stop = stop or Stop()
        self._lock = threading.Lock()
        self._publishing: Connection | None = None
        self._publishers: list[RabbitMQPublisher] = []
        self._consuming = Connection(settings, "consuming", self._stop)
        self._consuming.open()
        if not settings.declare:
            try:
                for queue in Queue:
                    refuse_stream(self._consuming, self._name(queue))
            except DlmonError:
                self._consuming.close()
                raise

    def publish(
        self,
        queue: Queue,
        batches: Iterable[Sequence[Message]],
        *,
        confirmed: Confirmed | None = None,
        stop: Stop | None = None,
        patience: float | None = None,
    ) -> int:
        publisher = self._take_publisher()
        try:
            count = publisher.publish(
                ROUTING_KEYS[queue],
                batches,
                confirmed=confirmed,
                stop=stop or self._stop,
                patience=patience,
            )
        except BaseException:
            # Also after a refusal: RabbitMQ 3.10 may never answer again on a channel on which it
            # refused messages while a queue had no leader (seen when a node of a cluster died).
            publisher.close()
            raise
        self._publishers.append(publisher)
        return count

    def open_consumer(self, prefetch: int, count: int | None = None) -> RabbitMQConsumer:
        queue = self._name(Queue.ARRIVALS)
        return RabbitMQConsumer(self._consuming, queue, prefetch, count, self._stop)

    def open_reader(self, queue: Queue, limit: int | None = None) -> RabbitMQReader:
        return RabbitMQReader(
            self._consuming, self._name(queue), limit, self._stop, lambda: self.depth(queue)
        )

    def open_tap(self) -> RabbitMQTap:
        return RabbitMQTap(self._consuming, self._settings.namespace, self._stop)

    def depth(self, queue: Queue) -> Depth:
        def ask(channel: Any, answer: Future[Depth]) -> None:
            def on_declare_ok(frame: Any) -> None:
                found = frame.method
                answer.set_result(Depth(found.message_count, None, found.consumer_count))

            channel.queue_declare(self._name(queue), passive=True, callback=on_declare_ok)

        return self._consuming.call(ask)

    @property
    def max_properties_bytes(self) -> int:
        return min(connection.max_properties_bytes for connection in self._connections())

    @property
    def connected(self) -> bool:
        return all(connection.connected for connection in self._connections())

    @property
    def reconnects(self) -> int:
        return sum(connection.reconnects for connection in self._connections())

    def _connections(self) -> list[Connection]:
        return (
            [self._consuming] if self._publishing is None else [self._consuming, self._publishing]
        )

    def close(self) -> None:
        if self._publishing is not None:
            self._publishing.close()
        self._consuming.close()

    def _take_publisher(self) -> RabbitMQPublisher:
        with self._lock:
            if self._publishing is None:
                connection = Connection(self._settings, "publishing", self._stop)
                connection.open()
                self._publishing = connection
        try:
            return self._publishers.pop()
        except IndexError:
            return RabbitMQPublisher(self._publishing, self._settings.namespace)

    def _name(self, queue: Queue) -> str:
        return queue_name(self._settings.namespace, queue)
