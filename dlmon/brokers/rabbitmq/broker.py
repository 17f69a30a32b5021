"""The contract of `dlmon.brokers.base`, kept by RabbitMQ."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from typing import Any

from dlmon.brokers.base import Broker, Confirmed, Consumer, Depth
from dlmon.brokers.rabbitmq.connection import Connection
from dlmon.brokers.rabbitmq.consumer import RabbitMQConsumer
from dlmon.brokers.rabbitmq.publisher import RabbitMQPublisher
from dlmon.brokers.rabbitmq.reader import RabbitMQReader
from dlmon.brokers.rabbitmq.several import SeveralConsumers
from dlmon.brokers.rabbitmq.streams import refuse_stream
from dlmon.brokers.rabbitmq.tap import RabbitMQTap
from dlmon.brokers.rabbitmq.window import HELD_BYTES, Window
from dlmon.config.settings import Settings
from dlmon.errors import DlmonError, UsageError
from dlmon.messages import Message, Queue
from dlmon.runtime.stop import Stop


class RabbitMQBroker(Broker):
    """Two connections: under a memory or disk alarm RabbitMQ stops reading from one that publishes,
    and acknowledgements on it would be stuck too."""

    publishes_beside = True
    has_policies = True

    def __init__(self, settings: Settings, stop: Stop | None = None) -> None:
        """Connect, and declare or check the topology.

        Raises: BrokerUnreachable, BrokerRefused, TopologyMismatch, Interrupted.
        """
        self.names = settings.names
        self._settings = settings
        self._stop = stop or Stop()
        self._lock = threading.Lock()
        self._publishing: Connection | None = None
        self._publishers: list[RabbitMQPublisher] = []
        self._consuming = Connection(settings, "consuming", self._stop)
        self._consuming.open()
        if not settings.declare:
            try:
                for queue, name in self.names.queues():
                    if not self._is_stream(queue):
                        refuse_stream(self._consuming, name)
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
                self.names.routing_key(queue),
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

    def open_consumer(self, prefetch: int, count: int | None = None) -> Consumer:
        queues = self.names.all_arrivals
        if count is not None and len(queues) > 1:
            raise UsageError("--count takes from one queue: name one with --arrivals.")
        share = max(1, prefetch // len(queues))
        share_of_bytes = HELD_BYTES // len(queues)
        consumers = [
            RabbitMQConsumer(
                self._consuming, queue, Window(share, share_of_bytes), count, self._stop
            )
            for queue in queues
        ]
        return consumers[0] if len(consumers) == 1 else SeveralConsumers(consumers, self._stop)

    def open_reader(self, queue: Queue, limit: int | None = None) -> RabbitMQReader:
        return RabbitMQReader(
            self._consuming, self.names.queue(queue), limit, self._stop, lambda: self.depth(queue)
        )

    def open_tap(self) -> RabbitMQTap:
        return RabbitMQTap(self._consuming, self.names, self._stop)

    def depths(self, queue: Queue) -> dict[str, Depth]:
        return {name: self._depth(name) for kind, name in self.names.queues() if kind is queue}

    def depth(self, queue: Queue) -> Depth:
        depths = self.depths(queue).values()
        return Depth(
            sum(depth.ready for depth in depths),
            None,
            sum(depth.holders for depth in depths),
            self._is_stream(queue),
        )

    def _is_stream(self, queue: Queue) -> bool:
        return queue is Queue.ARRIVALS and self._settings.stream_retention is not None

    def _depth(self, name: str) -> Depth:
        def ask(channel: Any, answer: Future[Depth]) -> None:
            def on_declare_ok(frame: Any) -> None:
                found = frame.method
                answer.set_result(Depth(found.message_count, None, found.consumer_count))

            channel.queue_declare(name, passive=True, callback=on_declare_ok)

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
            return RabbitMQPublisher(self._publishing, self.names.exchange)
