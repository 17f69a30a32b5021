"""One connection to RabbitMQ that comes back by itself.

Its I/O loop runs in a thread of its own, so that heartbeats go on whatever the rest of the process
does. All that happens on the connection happens in that thread, and what crosses to another one
crosses in batches.
"""

from __future__ import annotations

import logging
import os
import random
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import Any, Generic, Protocol, TypeVar

from dlmon.brokers.rabbitmq import pika_adapter, topology
from dlmon.config.settings import Settings
from dlmon.config.urls import RabbitMQAddress
from dlmon.errors import (
    BrokerUnreachable,
    DlmonError,
    Interrupted,
    SettingsError,
)
from dlmon.runtime.backoff import Backoff
from dlmon.runtime.stop import Stop

T = TypeVar("T")

TICK = 0.05
"""Seconds after which a wait looks whether a stop was asked for."""

TELL_EVERY = 60.0
"""Seconds after which a fault that goes on is told of again."""

_CLOSE_TIMEOUT = 2.0

_log = logging.getLogger(__name__)


class User(Protocol):
    """Uses a link. Its methods are called in the link's thread."""

    def up(self, connection: Any) -> None:
        """The connection is open, and the topology is there."""

    def down(self, error: DlmonError) -> None:
        """The connection was lost, or could not be made. Another one will be tried."""


class Link:
    """A connection, the next one when it is lost, and so on until `close`."""

    def __init__(
        self, settings: Settings, purpose: str, stop: Stop, *, see_to_topology: bool = True
    ) -> None:
        """purpose: part of the name that RabbitMQ's management page shows. stop: ends waits.

        see_to_topology: declare it, or check that it is there, before the connection is used."""
        self._sees_to_topology = see_to_topology
        assert isinstance(settings.broker, RabbitMQAddress)  # noqa: S101  (for the type checker)
        name = f"{settings.connection_name or _process_name()} {purpose}"
        self._access = pika_adapter.Access(settings.broker, settings, name)
        self._settings = settings
        self._stop = stop
        self._users: list[User] = []
        self._told: set[User] = set()  # those that know of the connection
        # Guards the loop and the connection, which other threads look at.
        self._lock = threading.Lock()
        self._loop: Any = None
        self._connection: Any = None  # once it can be used
        self._latest: Any = None  # the same, or one that is being made
        self._cause: DlmonError | None = None
        self._bug: BaseException | None = None
        self.reconnects = 0
        self._closing = threading.Event()
        self._first: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def open(self) -> None:
        """Connect, and see to the topology.

        Raises: BrokerUnreachable after `settings.wait` seconds, BrokerRefused, TopologyMismatch,
        SettingsError, Interrupted.
        """
        self._thread.start()
        try:
            self.result(self._first, lambda: self._stop.requested)
        except DlmonError:
            self.close()
            raise

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._connection is not None

    def attach(self, user: User) -> None:
        """Tell `user` of this connection and of all that follow."""
        with self._lock:
            self._users.append(user)
            if self._loop is not None:
                self._loop.add_callback_threadsafe(self._tell_of_connection)

    def detach(self, user: User) -> None:
        """Tell `user` no more."""
        with suppress(ValueError):
            self._users.remove(user)
        self._told.discard(user)

    def submit(self, work: Callable[[], None]) -> bool:
        """Do `work` in the link's thread, after what was submitted before. False where there is no
        connection now."""
        with self._lock:
            if self._connection is None:
                return False
            self._loop.add_callback_threadsafe(work)
            return True

    def call(self, ask: Callable[[Any, Future[T]], None]) -> T:
        """What `ask(channel, answer)` has the broker answer, on a channel of its own.

        Raises: BrokerUnreachable, BrokerRefused, TopologyMismatch, Interrupted.
        """
        call = _Call(self, ask)
        self.attach(call)
        try:
            return self.result(call.answer, lambda: self._stop.expired)
        finally:
            self.detach(call)

    def result(self, future: Future[T], give_up: Callable[[], bool]) -> T:
        """The result, or what it raises, unless there is a reason not to wait any longer.

        Raises: Interrupted.
        """
        while not wait([future], TICK).done:
            self.check()
            if give_up():
                raise Interrupted(f"Stopped while waiting for RabbitMQ at {self._settings.broker}.")
        return future.result()

    def check(self) -> None:
        """Raise what should never have happened in the link's thread, for whoever waits for it."""
        if self._bug is not None:
            raise RuntimeError("the thread of the connection to RabbitMQ has ended") from self._bug

    def restart(self, error: DlmonError) -> None:
        """Give this connection up for a new one. Only in the link's thread."""
        if self._connection is not None and self._connection.is_open:
            self._cause = error
            self._connection.close()

    def close(self) -> None:
        """Close the connection, and make no other."""
        self._closing.set()
        with self._lock:
            if self._loop is not None:
                self._loop.add_callback_threadsafe(self._leave)
        if self._thread.is_alive():
            self._thread.join(_CLOSE_TIMEOUT)

    def explain(self, reason: object) -> DlmonError:
        """What pika calls `reason`, in words."""
        return pika_adapter.explain(reason, self._access)

    def _run(self) -> None:
        try:
            self._serve_all()
        except BaseException as bug:
            self._bug = bug
            raise

    def _serve_all(self) -> None:
        deadline = time.monotonic() + self._settings.wait
        told: type[DlmonError] | None = None
        tell_at = 0.0
        backoff = Backoff()
        while True:
            was_up, error = self._serve()
            if self._closing.is_set():
                return
            for user in tuple(self._users):
                user.down(error)
            if not self._first.done() and (
                not isinstance(error, BrokerUnreachable) or time.monotonic() >= deadline
            ):
                self._first.set_exception(error)
                return
            if was_up:
                backoff = Backoff()
            # A login that is refused after the broker was away, say, is news.
            if was_up or type(error) is not told or time.monotonic() >= tell_at:
                _log.warning("%s Connecting again.", error)
                told = type(error)
                tell_at = time.monotonic() + TELL_EVERY
            delay = backoff.delay()
            if not self._first.done():
                delay = min(delay, max(0.0, deadline - time.monotonic()))
            self._closing.wait(delay)

    def _serve(self) -> tuple[bool, DlmonError]:
        """Serve one connection to its end; returns whether it was of use, and why it ended."""
        hosts = self._access.address.hosts
        for host in random.sample(hosts, len(hosts)):
            loop = pika_adapter.new_loop()
            self._cause = None
            self._told.clear()
            with self._lock:
                self._loop = loop
            try:
                if not self._closing.is_set():
                    self._latest = pika_adapter.connect(
                        loop, self._access, host, self._opened, self._ended
                    )
                    loop.start()
            except SettingsError as error:  # a file of the login, which may be there again later
                self._cause = error
            except AssertionError:
                # pika's own, where it does not expect that a connection is closed which is being
                # made: it takes the class AMQPConnectionWorkflowAborted for no exception.
                if not self._closing.is_set():
                    raise
            finally:
                with self._lock:
                    self._loop = None
                    was_up = self._connection is not None
                    self._connection = None
                loop.close()
            ended_by = self._cause or BrokerUnreachable("The connection was closed.")
            if was_up or not isinstance(ended_by, BrokerUnreachable):
                break
        return was_up, ended_by

    def _opened(self, connection: Any) -> None:
        def see_to_topology(channel: Any) -> None:
            if not self._sees_to_topology:
                ready(channel)
                return
            channel.add_on_close_callback(refused)
            see_to = topology.declare if self._settings.declare else topology.check
            see_to(channel, self._settings.namespace, lambda _: ready(channel))

        def refused(_channel: Any, reason: Exception) -> None:
            if not pika_adapter.is_own_close(reason):
                self._cause = self._cause or self.explain(reason)
                if connection.is_open:
                    connection.close()

        def ready(channel: Any) -> None:
            channel.close()
            with self._lock:
                self._connection = connection
            if self._first.done():
                self.reconnects += 1
                _log.warning("Connected to RabbitMQ at %s again.", self._settings.broker)
            else:
                self._first.set_result(None)
            self._tell_of_connection()

        connection.add_on_connection_blocked_callback(self._blocked)
        connection.add_on_connection_unblocked_callback(self._unblocked)
        connection.channel(on_open_callback=see_to_topology)

    def _tell_of_connection(self) -> None:
        """Tell those users that do not know of it yet."""
        if self._connection is None or not self._connection.is_open:
            return  # or it is being closed: the next one will do
        for user in tuple(self._users):
            if user not in self._told:
                self._told.add(user)
                user.up(self._connection)

    def _ended(self, _connection: Any, reason: BaseException) -> None:
        self._cause = self._cause or self.explain(reason)
        self._loop.stop()

    def _leave(self) -> None:
        if not self._latest.is_closed and not self._latest.is_closing:
            self._latest.close()
        self._loop.call_later(_CLOSE_TIMEOUT / 2, self._loop.stop)

    def _blocked(self, _connection: Any, frame: Any) -> None:
        _log.warning(
            "RabbitMQ takes no messages now: an alarm is on (%s). Publishing waits until it is "
            "over.",
            frame.method.reason,
        )

    def _unblocked(self, _connection: Any, _frame: Any) -> None:
        _log.warning("RabbitMQ takes messages again.")


class _Call(Generic[T]):
    """A user that asks one question."""

    def __init__(self, link: Link, ask: Callable[[Any, Future[T]], None]) -> None:
        self._link = link
        self._ask = ask
        self.answer: Future[T] = Future()

    def up(self, connection: Any) -> None:
        connection.channel(on_open_callback=self._opened)

    def down(self, error: DlmonError) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)

    def _opened(self, channel: Any) -> None:
        channel.add_on_close_callback(lambda _, reason: self.down(self._link.explain(reason)))
        self.answer.add_done_callback(lambda _: channel.is_open and channel.close())
        self._ask(channel, self.answer)


def _process_name() -> str:
    return f"dlmon {socket.gethostname()}:{os.getpid()}"
