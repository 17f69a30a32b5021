"""Whether two addresses lead to the same RabbitMQ."""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import ExitStack, closing
from typing import Any

from dlmon.brokers.rabbitmq import pika_adapter
from dlmon.brokers.rabbitmq.connection import Connection
from dlmon.brokers.rabbitmq.failures import NotDeclaredYet
from dlmon.config.settings import Settings
from dlmon.errors import BrokerRefused, TopologyMismatch
from dlmon.messages import Queue
from dlmon.runtime.stop import Stop


def feeds_itself(source: Settings, target: Settings, stop: Stop) -> bool:
    """Whether what is published to the arrivals of `target` comes to the arrivals of `source`.

    Nothing is declared for it that stays.

    Raises: BrokerUnreachable, BrokerRefused, Interrupted.
    """
    if not _would_feed(source, target):
        return False
    with ExitStack() as opened:
        connections = [
            opened.enter_context(
                closing(Connection(settings, "comparing", stop, ensure_topology=False))
            )
            for settings in (source, target)
        ]
        for connection in connections:
            connection.open()
        return _are_same(*connections)


def _would_feed(source: Settings, target: Settings) -> bool:
    """Whether the names say so, were it one broker."""
    ours, theirs = source.names, target.names
    routes = [(names.exchange, names.routing_key(Queue.ARRIVALS)) for names in (ours, theirs)]
    is_bound = source.declare and routes[0] == routes[1]
    return is_bound or theirs.queue(Queue.ARRIVALS) in ours.all_arrivals


def _are_same(one: Connection, other: Connection) -> bool:
    """Whether both lead to the same virtual host of the same node or cluster.

    A queue that only the first may use is looked for by the other one. Without the permission to
    create one, both are the same where virtual host and cluster have the same names.
    """
    try:
        queue = one.call(_declare_own)
    except BrokerRefused:
        return one.call(_place) == other.call(_place)
    try:
        other.call(lambda channel, answer: _look_for(queue, channel, answer))
    except NotDeclaredYet:
        return False
    except TopologyMismatch as error:
        # It belongs to a connection; or, for one that declares nothing, there is none.
        return "exclusive access" in str(error)
    return True


def _declare_own(channel: Any, answer: Future[str]) -> None:
    channel.queue_declare(
        "", exclusive=True, callback=lambda frame: answer.set_result(frame.method.queue)
    )


def _look_for(queue: str, channel: Any, answer: Future[None]) -> None:
    channel.queue_declare(queue, passive=True, callback=lambda _: answer.set_result(None))


def _place(channel: Any, answer: Future[tuple[str, str]]) -> None:
    answer.set_result(pika_adapter.place_of(channel.connection))
