"""Publishing events from a program of one's own."""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from dlmon.brokers import open_broker
from dlmon.brokers.base import Broker
from dlmon.brokers.retrying import publish_until_taken
from dlmon.client.spool import Spool
from dlmon.config.settings import Settings
from dlmon.errors import BrokerUnreachable, DlmonError, ExitCode, Interrupted, UsageError
from dlmon.event import event_id_of, id_from_body, identify
from dlmon.messages import PUBLISHED_AT, Message, Queue
from dlmon.runtime.closeable import Closeable
from dlmon.runtime.stop import Stop
from dlmon.validation.schema import load_schema
from dlmon.validation.validator import Validator
from dlmon.validation.violations import Violation, describe_rule

MAX_PENDING = 10_000
"""Events that may be unconfirmed before `publish` waits."""

MAX_PENDING_BYTES = 64 * 1024 * 1024
"""Bytes of events that may be unconfirmed before `publish` waits, unless it is a single event."""

CLOSE_TIMEOUT = 30.0
"""Seconds that closing waits for confirms, unless another time is given."""

_BATCH = 1_000
# Seconds until a confirm is noticed while nothing is published; doubled while none comes.
_POLL = 0.005
_LONGEST_POLL = 0.25


class InvalidEvent(DlmonError):
    """An event breaks the schema, and was not published.

    `violations` says what is wrong with it, and is never empty.
    """

    exit_code = ExitCode.INVALID_DATA

    def __init__(self, violations: Sequence[Violation]) -> None:
        first = violations[0]
        more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
        super().__init__(
            f"The event was not published: {describe_rule(first.code, first.path)}: "
            f"{first.reason}{more}."
        )
        self.violations = tuple(violations)


class Publisher(Closeable):
    """Publishes events to arrivals, from any number of threads. Use as a context manager.

    A thread of its own publishes in the background, and publishes again after a reconnect what the
    broker has not confirmed: that thread is gone after a fork, so that each process needs a
    publisher of its own.
    """

    def __init__(
        self,
        url: str,
        *,
        namespace: str = "dlmon",
        validate: bool | Validator = True,
        wait: float = 0.0,
        spool: str | os.PathLike[str] | None = None,
        events_per_message: int = 1,
        compress: str | None = None,
        arrivals_type: str = "quorum",
        retain: str = "7d",
    ) -> None:
        """Connect, and declare the exchange and the queues where they are missing.

        url: `amqp://USER:PASSWORD@HOST:PORT/VHOST`, `amqps://`, `local`, or `sqlite:///PATH`.
        namespace: prefix of the exchange and the queues. validate: validate each event before it
        is published, by the schema that dlmon ships or by another one. wait: seconds to wait for a
        broker that does not answer.

        spool: a file that `publish` writes events to, on disk before it returns. A thread sends
        them from there, also those that an earlier process left in it, and waits out any outage,
        so that nothing is connected to here. Several processes may share it. events_per_message,
        compress (`gzip` or `zstd`): how events from the spool are packed. arrivals_type: what
        arrivals are, `quorum` or `stream`. retain: how long a stream keeps events, such as `36h`.

        Raises: SettingsError, BrokerUnreachable, BrokerRefused, TopologyMismatch.
        """
        if validate is True:
            self._validator: Validator | None = Validator(load_schema())
        else:
            self._validator = validate or None
        settings = Settings.for_url(
            url, namespace=namespace, wait=wait, arrivals_type=arrivals_type, retain=retain
        )
        self._spool: Spool | None = None
        if spool is not None:
            self._spool = Spool(Path(spool), settings, events_per_message, compress)
            settings = self._spool.settings
        elif events_per_message != 1 or compress is not None:
            raise UsageError("events_per_message and compress need a spool.")
        self._stop = Stop(grace=0.0)
        self._process = os.getpid()
        # Guards all that follows. Notified when there is work, room, a confirm or an end.
        self._changed = threading.Condition()
        self._waiting: list[Message] = []
        # Every message that is not confirmed, by its identity, in the order of publishing.
        self._unconfirmed: dict[int, tuple[int, Message]] = {}
        self._unconfirmed_bytes = 0
        self._published = 0
        self._closing = False
        self._ended = False
        self._error: BaseException | None = None
        broker = open_broker(settings)
        try:
            # Connects for publishing too, so that what is wrong with that is raised here.
            broker.publish(Queue.ARRIVALS, ())
        except BaseException:
            broker.close()
            raise
        self._thread = threading.Thread(
            target=self._run, args=(broker,), name="dlmon-publisher", daemon=True
        )
        self._thread.start()
        if self._spool is not None:
            self._spool.start()
        atexit.register(self.close)

    def publish(self, event: Mapping[str, Any] | bytes) -> str:
        """Hand over one event, and return its message id. It is safe once `flush` returns; with a
        spool, once this returns.

        event: the event, or its JSON text, which is published byte for byte. In a mapping,
        `datetime` and `UUID` values are written as RFC 3339 and RFC 9562 say. Waits while
        `MAX_PENDING` events are unconfirmed.

        Raises: InvalidEvent, and the event is not published; UsageError after `close`; BrokerError
        when the broker is of no use any more (what was not confirmed may be lost).
        """
        message = self._message(event)
        size = len(message.body)
        self._check_process()
        with self._changed:
            self._check()
            while self._unconfirmed and (
                len(self._unconfirmed) >= MAX_PENDING
                or self._unconfirmed_bytes + size > MAX_PENDING_BYTES
            ):
                self._changed.wait()
                self._check()
            self._published += 1
            self._unconfirmed[id(message)] = (self._published, message)
            self._unconfirmed_bytes += size
            self._waiting.append(message)
            self._changed.notify_all()
        if self._spool is not None:
            self._wait_for_confirms(None)
        return message.message_id

    def flush(self, timeout: float | None = None) -> None:
        """Wait until the broker has confirmed every event that was published before this call; with
        a spool, until that is empty.

        timeout: seconds; None waits as long as it takes, through reconnects.

        Raises: BrokerUnreachable at the timeout, and the publisher goes on trying; UsageError,
        BrokerError as `publish`.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        self._wait_for_confirms(timeout)
        if self._spool is not None:
            self._spool.wait_until_empty(deadline, timeout)

    def _wait_for_confirms(self, timeout: float | None) -> None:
        deadline = None if timeout is None else time.monotonic() + timeout
        self._check_process()
        with self._changed:
            self._check()
            last = self._published
            while self._unconfirmed and next(iter(self._unconfirmed.values()))[0] <= last:
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    raise BrokerUnreachable(
                        f"{len(self._unconfirmed):,} events are not confirmed after {timeout:g} s; "
                        "the publisher goes on trying."
                    )
                self._changed.wait(left)
                self._check_error()

    @property
    def unconfirmed(self) -> int:
        """How many events the broker has not confirmed so far."""
        with self._changed:
            return len(self._unconfirmed)

    def close(self, timeout: float = CLOSE_TIMEOUT) -> None:
        """Wait for confirms, up to `timeout` seconds, and disconnect. A second time does nothing.

        With a spool, what has not been sent by then stays in it, and the next publisher sends it.

        Raises: Interrupted when events are not confirmed by then: the broker may have them, or
        not; BrokerError as `publish`.
        """
        atexit.unregister(self.close)
        if os.getpid() != self._process:
            return  # the connection and its thread belong to the parent process
        with self._changed:
            if self._closing:
                return
            self._closing = True
            self._changed.notify_all()
        deadline = time.monotonic() + timeout
        self._thread.join(timeout)
        self._stop.request()
        self._thread.join()
        if self._spool is not None:
            self._spool.close(deadline)
        if self._error is not None:
            raise self._error

    def __exit__(self, *_: object) -> None:
        self.close()

    def _message(self, event: Mapping[str, Any] | bytes) -> Message:
        try:
            body = event if isinstance(event, bytes) else orjson.dumps(dict(event))
        except TypeError as error:
            raise UsageError(f"The event cannot be written as JSON: {error}.") from error
        if self._validator is not None:
            verdict = self._validator.validate(body)
            if not verdict.valid:
                raise InvalidEvent(verdict.violations)
            message_id = event_id_of(verdict.value) or id_from_body(body)
        else:
            message_id = identify(body)
        headers = {PUBLISHED_AT: time.time_ns() // 1_000_000}
        return Message(body, message_id, headers)

    def _check_process(self) -> None:
        # Before any lock: another thread of the parent may have held it when it forked.
        if os.getpid() != self._process:
            raise UsageError("A publisher does not work after a fork: make one in each process.")

    def _check_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _check(self) -> None:
        self._check_error()
        if self._closing:
            raise UsageError("The publisher is closed.")

    # In the publisher's own thread.

    def _run(self, broker: Broker) -> None:
        try:
            with broker:
                publish_until_taken(
                    broker,
                    Queue.ARRIVALS,
                    self._batches(),
                    on_confirmed=self._on_confirmed,
                    on_refused=lambda _refusal: None,
                    stop=self._stop,
                )
        except Interrupted as error:
            with self._changed:
                count = len(self._unconfirmed)
            self._error = Interrupted(
                f"{count:,} events were published and not confirmed: the broker may have them, or "
                f"not. {error}"
            )
        except BaseException as error:  # noqa: BLE001  (raised in the threads that publish)
            self._error = error
        finally:
            with self._changed:
                self._changed.notify_all()

    def _batches(self) -> Iterator[list[Message]]:
        """What waits to be published; empty batches while confirms are due, so that they are
        reported."""
        poll = _POLL
        while True:
            with self._changed:
                before = len(self._unconfirmed)
                if not self._waiting and not self._closing:
                    self._changed.wait(poll if self._unconfirmed else None)
                if not self._waiting and self._closing:
                    return
                batch, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
            yield batch
            with self._changed:
                progress = batch or len(self._unconfirmed) < before
            poll = _POLL if progress else min(2 * poll, _LONGEST_POLL)

    def _on_confirmed(self, messages: Sequence[Message]) -> None:
        with self._changed:
            for message in messages:
                del self._unconfirmed[id(message)]
                self._unconfirmed_bytes -= len(message.body)
            self._changed.notify_all()
