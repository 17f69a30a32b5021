"""The steps of `dlmon doctor` for RabbitMQ. Nothing is created, nothing consumed."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing
from functools import partial
from typing import Any

from dlmon.brokers.base import Check, Depth
from dlmon.brokers.counts import count_vanished, explain_vanished
from dlmon.brokers.rabbitmq import management, policies, protection, topology
from dlmon.brokers.rabbitmq.connection import Connection
from dlmon.brokers.rabbitmq.failures import NotDeclaredYet
from dlmon.brokers.rabbitmq.streams import queue_type, refuse_stream
from dlmon.config.names import DEFAULT_EXCHANGE
from dlmon.config.settings import Settings
from dlmon.config.urls import RabbitMQAddress
from dlmon.errors import BrokerRefused, BrokerUnreachable, DlmonError, TopologyMismatch
from dlmon.messages import Queue
from dlmon.runtime.stop import Stop

_Ask = Callable[[Any, Future[str]], None]
_PUBLISHED_BY = {Queue.ARRIVALS: "produce, replay-rejects", Queue.REJECTS: "consume"}
_CONSUMED_BY = {
    Queue.ARRIVALS: "consume",
    Queue.REJECTS: "inspect-rejects, replay-rejects, discard-rejects",
}
_INVALID_ARGUMENT = "x-priority"
_LACKS_OVERFLOW = (
    "as an early release declared it, without x-overflow=reject-publish: a policy with max-length "
    "or max-length-bytes would drop the oldest rejects. Give {0} a policy of its own ({1}), or, "
    "once it is empty, delete it: the next command declares it anew."
)
_NOT_SHOWN = (
    "AMQP cannot show them, and the management API does not either ({2}). See to it that no policy "
    "or operator policy with {0} applies to {1}; --management URL says where the API is."
)


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
        topology_checks = _Topology(connection, settings)
        yield from topology_checks.checks()
        yield from _Policies(settings, address).checks()
        yield from _publishing(settings, stop)
        yield from topology_checks.counts()
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
        self._names = settings.names
        self._declares = settings.declare
        self._stream_retention = settings.stream_retention
        self._timeout = settings.connect_timeout
        self._depths: dict[str, Depth] = {}  # by name of queue

    def checks(self) -> Iterator[Check]:
        if self._names.exchange == DEFAULT_EXCHANGE:
            yield Check("exchange", "the default one, which routes by the names of queues")
        else:
            yield from self._exchange_checks(self._names.exchange)
        for queue, name in self._names.queues():
            found = self._exists(f"queue {name}", self._ask_queue(name))
            yield found
            if found.error is None and found.known:
                yield self._arguments(queue, name)
                yield from self._permissions(queue, name)

    def _exchange_checks(self, name: str) -> Iterator[Check]:
        exchange = self._exists(f"exchange {name}", self._ask_exchange(passive=True))
        yield exchange
        if exchange.error is None and exchange.known:
            yield self._same(f"type of {name}", self._ask_exchange(passive=False))

    def counts(self) -> Iterator[Check]:
        """Queues that have lost messages since they were looked at first."""
        for name, before in tuple(self._depths.items()):
            found = self._exists(f"count of {name}", self._ask_queue(name))
            if found.error is None and (count := count_vanished(before, self._depths[name])):
                yield Check(found.name, explain_vanished(name, count), warning=True)

    def _is_stream(self, queue: Queue) -> bool:
        return queue is Queue.ARRIVALS and self._stream_retention is not None

    def _permissions(self, queue: Queue, name: str) -> Iterator[Check]:
        """Whether a queue may be bound, which each command does, and read."""
        if self._declares and self._names.exchange != DEFAULT_EXCHANGE:
            ask = self._ask_unbind(name, self._names.routing_key(queue))
            bound = self._exists(f"permission to bind {name} (all commands)", ask)
            if bound.error is not None:
                yield bound
        if self._is_stream(queue):
            return  # no command consumes from it
        what = f"permission to read {name} ({_CONSUMED_BY[queue]})"
        try:
            self._connection.call(self._ask_consume(name), self._timeout)
        except BrokerUnreachable as error:
            granted = f"invalid arg '{_INVALID_ARGUMENT}'" in str(error)
            yield Check(what, "granted") if granted else Check(what, str(error), error)
        except DlmonError as error:
            yield Check(what, str(error), error)

    def _ask_consume(self, name: str) -> _Ask:
        # RabbitMQ checks the permission first, and refuses the argument then: nothing is delivered.
        return lambda channel, answer: channel.basic_consume(
            name,
            lambda *_: None,
            arguments={_INVALID_ARGUMENT: "a text"},
            callback=lambda _: answer.set_result("granted"),
        )

    def _ask_unbind(self, name: str, routing_key: str) -> _Ask:
        # Takes the permissions of binding. Arguments make it another binding, that does not exist.
        return lambda channel, answer: channel.queue_unbind(
            name,
            self._names.exchange,
            routing_key,
            arguments={"x-dlmon": "none"},
            callback=lambda _: answer.set_result("granted"),
        )

    def _exists(self, what: str, ask: _Ask) -> Check:
        try:
            return Check(what, self._connection.call(ask, self._timeout))
        except NotDeclaredYet:
            return Check(what, "not there yet: the first command creates it", known=False)
        except DlmonError as error:
            return Check(what, str(error), error)

    def _arguments(self, queue: Queue, name: str) -> Check:
        what = f"type, limits and dead-lettering of {name}"
        if self._is_stream(queue):
            what = f"type and retention of {name}"
        try:
            if not self._is_stream(queue):
                refuse_stream(self._connection, name, self._timeout)
        except TopologyMismatch as error:
            return Check(what, str(error), error)
        arguments = topology.queue_arguments(self._names, queue, self._stream_retention)
        older = topology.older_queue_arguments(self._names, queue, self._stream_retention)
        check = self._same(what, self._ask_queue(name, arguments))
        if arguments != older and topology.is_older(check.text, self._names):
            check = self._same(what, self._ask_queue(name, older))
            if check.error is None and check.known:
                return Check(
                    what,
                    _LACKS_OVERFLOW.format(name, policies.exempting(self._names)),
                    warning=True,
                )
        if not check.known and not self._declares:
            kind = queue_type(self._connection, name, self._timeout)
            if kind is not None:
                return check._replace(text=f"a {kind} queue, declared in another way than dlmon's")
        return check

    def _same(self, what: str, ask: _Ask) -> Check:
        """Declaring what exists changes nothing, and shows whether it is the same."""
        try:
            self._connection.call(ask, self._timeout)
        except BrokerRefused:
            return Check(what, "shown only to users with permission to configure", known=False)
        except DlmonError as error:
            return Check(what, str(error), error if self._declares else None, known=False)
        return Check(what, "as it should be")

    def _ask_exchange(self, *, passive: bool) -> _Ask:
        return lambda channel, answer: channel.exchange_declare(
            self._names.exchange,
            "topic",
            durable=True,
            passive=passive,
            callback=lambda _: answer.set_result("there"),
        )

    def _ask_queue(self, name: str, arguments: dict[str, str | int] | None = None) -> _Ask:
        """arguments: None for whether it is there."""

        def on_declare_ok(frame: Any, answer: Future[str]) -> None:
            found = frame.method
            is_stream = self._stream_retention is not None and name in self._names.all_arrivals
            self._depths[name] = Depth(found.message_count, None, found.consumer_count, is_stream)
            answer.set_result(f"{found.message_count:,} ready, {found.consumer_count} consumers")

        return lambda channel, answer: channel.queue_declare(
            name,
            durable=True,
            passive=arguments is None,
            arguments=arguments,
            callback=lambda frame: on_declare_ok(frame, answer),
        )


class _Policies:
    """What only the management API shows."""

    def __init__(self, settings: Settings, address: RabbitMQAddress) -> None:
        self._names = settings.names
        self._stream_retention = settings.stream_retention
        self._address = address
        self._urls = management.urls(address, settings.management)

    def checks(self) -> Iterator[Check]:
        for queue, name in self._names.queues():
            what = f"policies of {name}"
            try:
                details = self._read(name)
            except management.NotShown as error:
                yield Check(what, _NOT_SHOWN.format(policies.LOSING, name, error), known=False)
                continue
            expected = topology.queue_arguments(self._names, queue, self._stream_retention)
            yield from _protection(queue, name, details, expected)
            applied = " and ".join(details.policies)
            found = policies.effects(queue, details)
            if not found:
                yield Check(what, f"{applied}: none that loses messages" if applied else "none")
                continue
            text = (
                f"{applied}: {'; '.join(effect.text for effect in found)}. Exempt both queues from "
                f"operator policies by their pattern, and from others by "
                f"{policies.exempting(self._names)}"
            )
            loses = any(effect.loses for effect in found)
            yield Check(what, text, TopologyMismatch(text) if loses else None, warning=not loses)

    def _read(self, name: str) -> management.QueueDetails:
        reasons = []
        for url in self._urls:
            try:
                return management.read_queue(url, self._address, name)
            except management.NotShown as error:
                reasons.append(f"{url}: {error}")
        raise management.NotShown("; ".join(reasons))


def _protection(
    queue: Queue,
    name: str,
    details: management.QueueDetails,
    expected: dict[str, str | int],
) -> Iterator[Check]:
    """What protects a queue that was declared in another way than dlmon's."""
    if details.arguments == expected and details.durable:
        return
    found = protection.weaknesses(queue, details)
    text = f"a {details.kind} queue; " + ("; ".join(found) or "nothing is missing")
    yield Check(f"protection of {name}", text, warning=bool(found))


def _publishing(settings: Settings, stop: Stop) -> Iterator[Check]:
    """Whether messages may be published, and are taken now.

    On a connection of its own: once an alarm is on, RabbitMQ reads nothing more from it.
    """
    connection = Connection(settings, "examining publishing", stop, ensure_topology=False)
    try:
        connection.open()
        names = settings.names
        for queue in Queue:
            routing_key = names.routing_key(queue)
            what = f"permission to publish {routing_key} ({_PUBLISHED_BY[queue]})"
            ask = partial(_publish_and_roll_back, names.exchange, routing_key)
            try:
                yield Check(what, connection.call(ask, settings.connect_timeout))
            except NotDeclaredYet:
                return
            except BrokerUnreachable as error:
                yield Check("publishing", str(error), error)
                return
            except DlmonError as error:
                yield Check(what, str(error), error)
    except DlmonError as error:
        yield Check("publishing", str(error), error)
    finally:
        connection.close()


def _publish_and_roll_back(
    exchange: str, routing_key: str, channel: Any, answer: Future[str]
) -> None:
    """Permissions, of topics too, are checked when a message is published, and a transaction that
    is rolled back publishes none."""

    def on_select_ok(_frame: object) -> None:
        channel.basic_publish(exchange, routing_key, b"")
        channel.tx_rollback(callback=lambda _: answer.set_result("granted"))

    channel.tx_select(callback=on_select_ok)
