"""One connection to RabbitMQ that reconnects by itself.

Its I/O loop runs in a thread of its own, so that heartbeats go on whatever the rest of the process
does. All that happens on the connection happens in that thread; other threads hand over work in
batches.
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

from dlmon.brokers.rabbitmq import failures, pika_adapter, topology
from dlmon.config.settings import Settings
from dlmon.config.urls import RabbitMQAddress
from dlmon.errors import (
    BrokerUnreachable,
    DlmonError,
    Interrupted,
    SettingsError,
)
from dlmon.messages import DEFAULT_FRAME_BYTES, max_properties_bytes
from dlmon.runtime.backoff import Backoff
from dlmon.runtime.stop import Stop

T = TypeVar("T")

TICK = 0.05
"""Seconds after which a wait checks whether a stop was requested."""

WARN_EVERY = 60.0
"""Seconds after which a fault that persists is logged again."""

STABLE_AFTER = 5.0
"""Seconds after which a connection counts as working: the next attempt then needs no backoff."""

_CLOSE_TIMEOUT = 2.0
_ALARM = (
    "RabbitMQ takes no messages now: an alarm is on ({}). Publishing waits until it is over: free "
    "memory or disk space of the broker."
)

_log = logging.getLogger(__name__)


class ConnectionListener(Protocol):
    """Uses a connection. Its methods are called in the connection's thread."""

    def on_connected(self, connection: Any) -> None:
        """pika's connection is open, and the topology is there."""

    def on_disconnected(self, error: DlmonError) -> None:
        """The connection was lost, or could not be made. Another attempt follows."""


class Connection:
    """A connection, the next one when it is lost, and so on until `close`."""

    def __init__(
        self, settings: Settings, purpose: str, stop: Stop, *, ensure_topology: bool = True
    ) -> None:
        """purpose: part of the name that RabbitMQ's management page shows. stop: ends waits.

        ensure_topology: declare it, or check that it is there, before the connection is used."""
        self._ensures_topology = ensure_topology
        self._older_topology = False  # whether an early release declared the queues
        assert isinstance(settings.broker, RabbitMQAddress)  # noqa: S101  (for the type checker)
        name = f"{settings.connection_name or _process_name()} {purpose}"
        self._config = pika_adapter.ConnectionConfig(settings.broker, settings, name)
        self._settings = settings
        self._stop = stop
        self._listeners: list[ConnectionListener] = []
        self._notified: set[ConnectionListener] = set()  # of the current connection
        # Guards the loop and the current connection, which other threads use.
        self._lock = threading.Lock()
        self._loop: Any = None
        self._current: Any = None  # pika's connection, once it can be used
        self._latest: Any = None  # the same, or one that is not open yet
        self._connected_at = 0.0
        self._is_news = True  # whether the last loss of the connection was logged
        self._cause: DlmonError | None = None
        self._bug: BaseException | None = None
        self.reconnects = 0
        self.alarm = ""
        """Why the broker reads nothing from this connection now, in its words."""
        self.max_properties_bytes = max_properties_bytes(DEFAULT_FRAME_BYTES)
        self.publishing_alone: list[object] = []
        """Publishers that look for the message the broker closes the connection over: as long as
        there are some, only the first of them publishes."""
        self._closing = threading.Event()
        self._first: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def open(self) -> None:
        """Connect, and declare or check the topology.

        Raises: BrokerUnreachable after `settings.wait` seconds, BrokerRefused, TopologyMismatch,
        SettingsError, Interrupted.
        """
        self._thread.start()
        try:
            self.wait_for(self._first, lambda: self._stop.requested)
        except DlmonError:
            self.close()
            raise

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._current is not None

    def add_listener(self, listener: ConnectionListener) -> None:
        """Notify `listener` of this connection and of all that follow."""
        with self._lock:
            self._listeners.append(listener)
            if self._loop is not None:
                self._loop.add_callback_threadsafe(self._notify_connected)

    def remove_listener(self, listener: ConnectionListener) -> None:
        """Notify `listener` no more."""
        with suppress(ValueError):
            self._listeners.remove(listener)
        self._notified.discard(listener)

    def submit(self, work: Callable[[], None]) -> bool:
        """Have `work` done in the connection's thread, after what was submitted before. False where
        there is no connection now."""
        with self._lock:
            if self._current is None:
                return False
            self._loop.add_callback_threadsafe(work)
            return True

    def call(self, ask: Callable[[Any, Future[T]], None], timeout: float | None = None) -> T:
        """The broker's answer to what `ask(channel, answer)` asks on a channel of its own.

        timeout: seconds after which, or after an alarm of the broker, BrokerUnreachable is raised.

        Raises: BrokerUnreachable, BrokerRefused, TopologyMismatch, Interrupted.
        """
        request = _Request(self, ask)
        self.add_listener(request)
        deadline = None if timeout is None else time.monotonic() + timeout

        def give_up() -> bool:
            if deadline is not None and self.alarm:
                raise BrokerUnreachable(_ALARM.format(self.alarm))
            if deadline is not None and time.monotonic() >= deadline:
                where = self._settings.broker
                raise BrokerUnreachable(f"RabbitMQ at {where} has not answered for {timeout:g} s.")
            return self._stop.expired

        try:
            return self.wait_for(request.answer, give_up)
        finally:
            self.remove_listener(request)

    def wait_for(self, future: Future[T], give_up: Callable[[], bool]) -> T:
        """The result of a future, or what it raises, unless there is a reason to give up first.

        Raises: Interrupted.
        """
        while not wait([future], TICK).done:
            self.check_thread()
            if give_up():
                raise Interrupted(f"Stopped while waiting for RabbitMQ at {self._settings.broker}.")
        return future.result()

    def check_thread(self) -> None:
        """Raise where the connection's thread has died of a bug, for those that wait for it."""
        if self._bug is not None:
            raise RuntimeError("the thread of the connection to RabbitMQ has ended") from self._bug

    def reconnect(self, error: DlmonError) -> None:
        """Give this connection up for a new one. Only in the connection's thread."""
        if self._current is not None and self._current.is_open:
            self._cause = error
            self._current.close()

    def close(self) -> None:
        """Close the connection, and make no other."""
        self._closing.set()
        with self._lock:
            if self._loop is not None:
                self._loop.add_callback_threadsafe(self._close_latest)
        if self._thread.is_alive():
            self._thread.join(_CLOSE_TIMEOUT)

    def explain(self, reason: object) -> DlmonError:
        """The error to raise for what pika gives as the reason of a close."""
        failure = pika_adapter.classify(reason)
        return failures.explain(failure, self._config.address, self._settings)

    def _run(self) -> None:
        try:
            self._connect_again_and_again()
        except BaseException as bug:
            self._bug = bug
            raise

    def _connect_again_and_again(self) -> None:
        deadline = time.monotonic() + self._settings.wait
        logged: type[DlmonError] | None = None
        log_at = 0.0
        backoff = Backoff()
        while True:
            seconds, error = self._connect_once()
            if self._closing.is_set():
                return
            for listener in tuple(self._listeners):
                listener.on_disconnected(error)
            if not self._first.done() and (
                not isinstance(error, BrokerUnreachable) or time.monotonic() >= deadline
            ):
                self._first.set_exception(error)
                return
            was_stable = seconds >= STABLE_AFTER
            if was_stable:
                backoff = Backoff()
            # A login that is refused after the broker was away, say, is news.
            self._is_news = was_stable or type(error) is not logged or time.monotonic() >= log_at
            if self._is_news:
                _log.warning("%s Connecting again.", error)
                logged = type(error)
                log_at = time.monotonic() + WARN_EVERY
            delay = backoff.delay()
            if not self._first.done():
                delay = min(delay, max(0.0, deadline - time.monotonic()))
            self._closing.wait(delay)

    def _connect_once(self) -> tuple[float, DlmonError]:
        """Run one connection to its end; returns for how many seconds it could be used, and why it
        ended."""
        hosts = self._config.address.hosts
        for host in random.sample(hosts, len(hosts)):
            loop = pika_adapter.new_loop()
            self._cause = None
            self.alarm = ""
            self._notified.clear()
            with self._lock:
                self._loop = loop
            try:
                if not self._closing.is_set():
                    self._latest = pika_adapter.connect(
                        loop, self._config, host, self._on_open, self._on_close
                    )
                    loop.start()
            except SettingsError as error:  # a file of the login, which may be there again later
                self._cause = error
            except AssertionError:
                # pika raises it where a connection is closed while it is being opened: it does not
                # expect its own AMQPConnectionWorkflowAborted there.
                if not self._closing.is_set():
                    raise
            finally:
                with self._lock:
                    self._loop = None
                    was_connected = self._current is not None
                    self._current = None
                seconds = time.monotonic() - self._connected_at if was_connected else 0.0
                loop.close()
            cause = self._cause or BrokerUnreachable("The connection was closed.")
            if was_connected or not isinstance(cause, BrokerUnreachable):
                break
        return seconds, cause

    def _on_open(self, connection: Any) -> None:
        connection.add_on_connection_blocked_callback(self._on_blocked)
        connection.add_on_connection_unblocked_callback(self._on_unblocked)

        names = self._settings.names

        def on_channel_open(channel: Any) -> None:
            if not self._ensures_topology:
                on_ready(channel)
                return
            channel.add_on_close_callback(on_channel_closed)
            if self._settings.declare:
                topology.declare(
                    channel,
                    names,
                    lambda _: on_ready(channel),
                    stream_retention=self._settings.stream_retention,
                    older=self._older_topology,
                )
            else:
                topology.check(channel, names, lambda _: on_ready(channel))

        def on_channel_closed(_channel: Any, reason: Exception) -> None:
            if pika_adapter.is_own_close(reason):
                return
            text = pika_adapter.classify(reason).text
            if not self._older_topology and topology.is_older(text, names):
                self._older_topology = True
                connection.channel(on_open_callback=on_channel_open)
                return
            self._cause = self._cause or self.explain(reason)
            if connection.is_open:
                connection.close()

        def on_ready(channel: Any) -> None:
            channel.close()
            self._connected_at = time.monotonic()
            self.max_properties_bytes = max_properties_bytes(pika_adapter.frame_bytes(connection))
            with self._lock:
                self._current = connection
            if self._first.done():
                self.reconnects += 1
                if self._is_news:
                    _log.warning("Connected to RabbitMQ at %s again.", self._settings.broker)
            else:
                self._first.set_result(None)
            self._notify_connected()

        connection.channel(on_open_callback=on_channel_open)

    def _notify_connected(self) -> None:
        """Notify those listeners that do not know of the current connection yet."""
        if self._current is None or not self._current.is_open:
            return  # a connection that is being closed is of no use: they get the next one
        for listener in tuple(self._listeners):
            if listener not in self._notified:
                self._notified.add(listener)
                listener.on_connected(self._current)

    def _on_close(self, _connection: Any, reason: BaseException) -> None:
        self._cause = self._cause or self.explain(reason)
        self._loop.stop()

    def _close_latest(self) -> None:
        if not self._latest.is_closed and not self._latest.is_closing:
            self._latest.close()
        self._loop.call_later(_CLOSE_TIMEOUT / 2, self._loop.stop)

    def _on_blocked(self, _connection: Any, frame: Any) -> None:
        self.alarm = frame.method.reason
        _log.warning("%s", _ALARM.format(self.alarm))

    def _on_unblocked(self, _connection: Any, _frame: Any) -> None:
        self.alarm = ""
        _log.warning("RabbitMQ takes messages again.")


class _Request(Generic[T]):
    """A question to the broker, on a channel of its own."""

    def __init__(self, connection: Connection, ask: Callable[[Any, Future[T]], None]) -> None:
        self._connection = connection
        self._ask = ask
        self.answer: Future[T] = Future()

    def on_connected(self, connection: Any) -> None:
        connection.channel(on_open_callback=self._on_channel_open)

    def on_disconnected(self, error: DlmonError) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)

    def _on_channel_open(self, channel: Any) -> None:
        channel.add_on_close_callback(
            lambda _, reason: self.on_disconnected(self._connection.explain(reason))
        )
        self.answer.add_done_callback(lambda _: channel.is_open and channel.close())
        self._ask(channel, self.answer)


def _process_name() -> str:
    return f"dlmon {socket.gethostname()}:{os.getpid()}"
