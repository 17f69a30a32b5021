"""The steps of `dlmon doctor` for RabbitMQ. Nothing is created, nothing consumed."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing
from typing import Any

from dlmon.brokers.base import Check
from dlmon.brokers.rabbitmq import topology
from dlmon.brokers.rabbitmq.connection import Connection
from dlmon.config.settings import Settings
from dlmon.config.urls import RabbitMQAddress
from dlmon.errors import BrokerRefused, BrokerUnreachable, DlmonError, TopologyMismatch
from dlmon.messages import Queue
from dlmon.runtime.stop import Stop

_Ask = Callable[[Any, Future[str]], None]
_UNROUTED = "dlmon.doctor"
_PROBE = b""


def diagnose(settings: Settings, stop: Stop) -> Iterator[Check]:
    """The steps, each as soon as it is done."""
    address = settings.broker
    assert isinstance(address, RabbitMQAddress)  # noqa: S101  (for the type checker)
    reached = False
    for host, port in address.hosts:
        for check in _network(host, port, settings.connect_timeout):
            yield check
            reached |= check.name.startswith("port") and check.error is None
    if not reached:
        return
    connection = Connection(settings, "examining", stop, ensure_topology=False)
    login = "client certificate" if address.external else f"user {address.user!r}"
    what = f"login with {login}, virtual host {address.vhost!r}"
    if address.tls is not None:
        what = f"TLS, {what}"
    try:
        connection.open()
    except DlmonError as error:
        yield Check(what, str(error), error)
        return
    try:
        yield Check(what, "accepted")
        yield from _Topology(connection, settings).checks()
    finally:
        connection.close()


def _network(host: str, port: int, timeout: float) -> Iterator[Check]:
    """Name and port of one host."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        reason = f"{host} is not known here ({error.strerror}): check how it is spelled, and DNS."
        yield Check(f"name {host}", reason, BrokerUnreachable(reason))
        return
    yield Check(f"name {host}", ", ".join(sorted({str(one[4][0]) for one in found})))
    try:
        with closing(socket.create_connection((host, port), timeout)):
            yield Check(f"port {host}:{port}", "something listens")
    except OSError as error:
        reason = (
            f"Nothing can be reached there ({error.strerror or error}): check port and firewall."
        )
        yield Check(f"port {host}:{port}", reason, BrokerUnreachable(reason))


class _Topology:
    """What is checked over a connection, each step on a channel of its own."""

    def __init__(self, connection: Connection, settings: Settings) -> None:
        self._connection = connection
        self._namespace = settings.namespace
        self._declares = settings.declare

    def checks(self) -> Iterator[Check]:
        exchange = self._exists(f"exchange {self._namespace}", self._ask_exchange(passive=True))
        yield exchange
        if exchange.error is None and exchange.known:
            yield self._same(f"type of {self._namespace}", self._ask_exchange(passive=False))
            yield self._allowed("permission to publish", self._publish)
        for queue in Queue:
            name = topology.queue_name(self._namespace, queue)
            found = self._exists(f"queue {name}", self._ask_queue(queue, passive=True))
            yield found
            if found.error is None and found.known:
                what = f"type, limits and dead-lettering of {name}"
                yield self._same(what, self._ask_queue(queue, passive=False))

    def _exists(self, what: str, ask: _Ask) -> Check:
        try:
            return Check(what, self._connection.call(ask))
        except BrokerRefused as error:
            return Check(what, str(error), error)
        except (BrokerUnreachable, TopologyMismatch) as error:
            if self._declares:
                return Check(what, "not there yet: the first command creates it", known=False)
            return Check(what, str(error), error)

    def _same(self, what: str, ask: _Ask) -> Check:
        """Declaring what exists changes nothing, and tells whether it is the same."""
        try:
            self._connection.call(ask)
        except BrokerRefused:
            return Check(what, "shown only to users with permission to configure", known=False)
        except DlmonError as error:
            return Check(what, str(error), error if self._declares else None, known=False)
        return Check(what, "as it should be")

    def _allowed(self, what: str, ask: _Ask) -> Check:
        try:
            return Check(what, self._connection.call(ask))
        except DlmonError as error:
            return Check(what, str(error), error)

    def _ask_exchange(self, *, passive: bool) -> _Ask:
        return lambda channel, answer: channel.exchange_declare(
            self._namespace,
            "topic",
            durable=True,
            passive=passive,
            callback=lambda _: answer.set_result("there"),
        )

    def _ask_queue(self, queue: Queue, *, passive: bool) -> _Ask:
        def on_declare_ok(frame: Any, answer: Future[str]) -> None:
            found = frame.method
            answer.set_result(f"{found.message_count:,} ready, {found.consumer_count} consumers")

        return lambda channel, answer: channel.queue_declare(
            topology.queue_name(self._namespace, queue),
            durable=True,
            passive=passive,
            arguments=None if passive else topology.queue_arguments(self._namespace, queue),
            callback=lambda frame: on_declare_ok(frame, answer),
        )

    def _publish(self, channel: Any, answer: Future[str]) -> None:
        """A message that no queue is bound for: RabbitMQ drops it, or refuses the permission."""

        def on_confirm(_frame: object) -> None:
            if not answer.done():
                answer.set_result("granted")

        channel.confirm_delivery(
            on_confirm,
            callback=lambda _: channel.basic_publish(self._namespace, _UNROUTED, _PROBE),
        )
