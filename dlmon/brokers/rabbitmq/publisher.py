"""Publishing with a window of unconfirmed messages, across reconnects."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from dlmon.brokers.base import Confirmed
from dlmon.brokers.rabbitmq import pika_adapter
from dlmon.brokers.rabbitmq.connection import TICK, WARN_EVERY, Connection
from dlmon.brokers.rabbitmq.failures import ClosedOverMessage
from dlmon.brokers.rabbitmq.suspects import Suspects
from dlmon.errors import (
    BrokerRefused,
    BrokerUnreachable,
    DlmonError,
    Interrupted,
    PublishRefused,
    TopologyMismatch,
    UnpublishableMessages,
)
from dlmon.messages import Message
from dlmon.runtime.stop import Stop

WINDOW = 4_000
"""Messages that may be unconfirmed at a time."""

WINDOW_BYTES = 16 * 1024 * 1024
"""Bytes of bodies that may be unconfirmed at a time, unless a single message has more."""

_CHUNK = 200  # messages that are handed to the thread of the connection together
_ACK = "Basic.Ack"
_FULL = (
    "RabbitMQ did not take all messages: a queue has reached its length limit. Empty it, or remove "
    "the limit, which a policy may set."
)
_UNROUTABLE = (
    "RabbitMQ did not take all messages: no queue is bound for them ({}). Bind both queues to the "
    "exchange, or leave out --no-declare."
)
_TOO_LARGE = (
    "Cannot publish {!r}: its properties and headers have {:,} bytes, and this connection has room "
    "for {:,} (frame_max of RabbitMQ, or of a proxy)."
)
_UNPUBLISHABLE = "Cannot publish {!r}: RabbitMQ closes the connection over it each time. {}"
_SILENT = "RabbitMQ has confirmed nothing for %.0f s; %d messages wait for it."

_log = logging.getLogger(__name__)


class _Outgoing(NamedTuple):
    message: Message
    properties: Any


class RabbitMQPublisher:
    """One channel with publisher confirms, for one thread at a time.

    What the broker has neither confirmed nor refused is published again on the next connection.
    """

    def __init__(self, connection: Connection, exchange: str) -> None:
        self._connection = connection
        self._exchange = exchange
        self._routing_key = ""
        self._encoder = pika_adapter.PropertiesEncoder()
        # Only in the connection's thread.
        self._channel: Any = None
        self._next_tag = 1
        self._unconfirmed: dict[int, _Outgoing] = {}
        self._returned: Counter[tuple[str, bytes]] = Counter()
        self._suspects = Suspects()
        # Guarded, for both threads.
        self._changed = threading.Condition()
        self._waiting: list[_Outgoing] = []
        self._open = 0
        self._open_bytes = 0
        self._patience: float | None = None  # seconds of silence after which to give up
        self._silent_since = 0.0  # the last confirm, or the first message that waits for one
        self._warned_after = 0.0  # seconds of silence at the last warning
        self._confirmed: list[Message] = []
        self._refused: list[Message] = []
        self._reason = ""
        self._unpublishable: list[Message] = []
        self._unpublishable_reason = ""
        self._failure: DlmonError | None = None
        connection.add_listener(self)

    def publish(
        self,
        routing_key: str,
        batches: Iterable[Sequence[Message]],
        *,
        confirmed: Confirmed | None,
        stop: Stop,
        patience: float | None,
    ) -> int:
        """As `Broker.publish`. After an error the publisher has to be closed."""
        self._routing_key = routing_key
        self._patience = patience
        call = _PublishCall(self, confirmed, stop)
        left: list[Message] = []
        try:
            for batch in batches:
                left.extend(call.send(batch))
                if self._refused:
                    break
        finally:
            call.finish()
        if self._refused:
            refused = self._refused + left + self._unpublishable
            if self._reason != _FULL:
                # The queue is gone. With the next connection it is declared again.
                self._connection.submit(
                    lambda: self._connection.reconnect(BrokerUnreachable(self._reason))
                )
            raise PublishRefused(self._reason, refused)
        if self._unpublishable:
            raise UnpublishableMessages(self._unpublishable_reason, self._unpublishable)
        return call.count

    def close(self) -> None:
        self._connection.remove_listener(self)
        self._leave_alone()
        self._connection.submit(
            lambda: self._channel and self._channel.is_open and self._channel.close()
        )

    # For the thread that publishes.

    def enqueue(self, messages: Sequence[Message]) -> None:
        """Have messages published."""
        encode = self._encoder.encode
        outgoing = [_Outgoing(message, encode(message)) for message in messages]
        with self._changed:
            self._waiting.extend(outgoing)
            if not self._open:
                self._end_silence()
            self._open += len(messages)
            self._open_bytes += sum(len(message.body) for message in messages)
        self._connection.submit(self._write)

    def wait_for_confirms(self, stop: Stop, room_for: Sequence[Message] | None) -> list[Message]:
        """Messages that were confirmed since the last call. Waits until there are some, or the
        window has room for `room_for` (None: until every message was confirmed or refused): only
        then there can be none.

        Raises: Interrupted, BrokerError.
        """
        with self._changed:
            self._warn_of_silence()
            while not self._confirmed and not self._has_room(room_for):
                if self._failure is not None:
                    raise self._failure
                self._connection.check_thread()
                if stop.expired:
                    raise Interrupted(f"{self._open} messages were not confirmed in time.")
                self._give_up_after_patience()
                self._changed.wait(TICK)
                self._warn_of_silence()
                if self._waiting:  # for another publisher that had the connection to itself
                    self._connection.submit(self._write)
            confirmed, self._confirmed = self._confirmed, []
        return confirmed

    def _warn_of_silence(self) -> None:
        silent = time.monotonic() - self._silent_since
        if self._open and silent >= self._warned_after + WARN_EVERY:
            _log.warning(_SILENT, silent, self._open)
            self._warned_after = silent
            if not self._connection.alarm:
                # RabbitMQ 3.10 never confirms some of what it was sent while a queue had no leader,
                # after a crash, say. On a new connection it is sent again.
                error = BrokerUnreachable("RabbitMQ does not confirm what it was sent.")
                self._connection.submit(lambda: self._connection.reconnect(error))

    def _give_up_after_patience(self) -> None:
        silent = time.monotonic() - self._silent_since
        if self._patience is not None and silent >= self._patience:
            why = f" An alarm is on ({self._connection.alarm})." if self._connection.alarm else ""
            raise BrokerUnreachable(f"{_SILENT % (silent, self._open)}{why}")

    def _end_silence(self) -> None:
        self._silent_since = time.monotonic()
        self._warned_after = 0.0

    @property
    def has_refusals(self) -> bool:
        """Whether a message was refused."""
        return bool(self._refused)

    def _has_room(self, room_for: Sequence[Message] | None) -> bool:
        if not self._open:
            return True
        return (
            room_for is not None
            and self._open + len(room_for) <= WINDOW
            and self._open_bytes + sum(len(message.body) for message in room_for) <= WINDOW_BYTES
        )

    # In the connection's thread.

    def on_connected(self, connection: Any) -> None:
        connection.channel(on_open_callback=self._on_channel_open)

    def on_disconnected(self, error: DlmonError) -> None:
        self._channel = None
        if isinstance(error, TopologyMismatch):
            self._fail(error)
        elif isinstance(error, ClosedOverMessage) and self._unconfirmed:
            self._suspect(error)

    def _on_channel_open(self, channel: Any) -> None:
        channel.add_on_close_callback(self._on_channel_closed)
        channel.add_on_return_callback(self._on_return)
        channel.confirm_delivery(self._on_confirm, callback=lambda _: self._start(channel))

    def _start(self, channel: Any) -> None:
        self._channel = channel
        self._next_tag = 1
        self._returned.clear()
        with self._changed:
            self._waiting[:0] = self._unconfirmed.values()
        self._unconfirmed.clear()
        self._write()

    def _on_channel_closed(self, _channel: Any, reason: BaseException) -> None:
        self._channel = None
        if pika_adapter.is_own_close(reason):
            return
        error = self._connection.explain(reason)
        if isinstance(error, BrokerRefused | TopologyMismatch):
            self._fail(error)
        else:
            self._connection.reconnect(error)  # perhaps the exchange is gone

    def _fail(self, error: DlmonError) -> None:
        with self._changed:
            self._failure = error
            self._changed.notify()

    def _suspect(self, error: ClosedOverMessage) -> None:
        """Find out which of the unconfirmed messages the broker closes the connection over."""
        if self not in self._connection.publishing_alone:
            self._connection.publishing_alone.append(self)
        if self._suspects.on_close(len(self._unconfirmed), error.attempts):
            messages = [one.message for one in self._unconfirmed.values()]
            self._unconfirmed.clear()
            reason = _UNPUBLISHABLE.format(messages[0].message_id, error)
            self._settle(messages, unpublishable=messages, reason=reason)

    def _write(self) -> None:
        """Publish what waits."""
        limit = self._connection.max_properties_bytes
        while outgoing := self._take_waiting():
            publish = self._channel.basic_publish
            exchange, routing_key = self._exchange, self._routing_key
            too_large: list[_Outgoing] = []
            for one in outgoing:
                if len(one.properties.encoded) > limit:
                    too_large.append(one)
                    continue
                self._unconfirmed[self._next_tag] = one
                self._next_tag += 1
                publish(exchange, routing_key, one.message.body, one.properties, mandatory=True)
            if too_large:
                size = len(too_large[0].properties.encoded)
                messages = [one.message for one in too_large]
                reason = _TOO_LARGE.format(messages[0].message_id, size, limit)
                self._settle(messages, unpublishable=messages, reason=reason)

    def _leave_alone(self) -> None:
        """Let other publishers use the connection again."""
        with suppress(ValueError):  # `close` has done so, in another thread
            self._connection.publishing_alone.remove(self)

    def _take_waiting(self) -> Sequence[_Outgoing]:
        """What can be published now."""
        if self._channel is None or not self._channel.is_open:
            return ()
        if (alone := self._connection.publishing_alone) and alone[0] is not self:
            return ()
        with self._changed:
            size = len(self._waiting)
            if self._suspects.left:
                size = 0 if self._unconfirmed else 1
            outgoing, self._waiting = self._waiting[:size], self._waiting[size:]
        return outgoing

    def _on_return(self, _channel: Any, method: Any, properties: Any, body: bytes) -> None:
        # It precedes the confirm. Of equal messages it does not matter which one is meant.
        self._reason = _UNROUTABLE.format(method.reply_text)
        self._returned[properties.message_id, body] += 1

    def _on_confirm(self, frame: Any) -> None:
        method = frame.method
        tags = [method.delivery_tag]
        if method.multiple:
            # They are in the order of publishing: all up to this tag come first.
            tags = []
            for tag in self._unconfirmed:
                if tag > method.delivery_tag:
                    break
                tags.append(tag)
        messages = [self._unconfirmed.pop(tag).message for tag in tags]
        taken, refused = messages, []
        if method.NAME != _ACK:
            self._reason = _FULL
            taken, refused = [], messages
        elif self._returned:
            taken = []
            for message in messages:
                key = (message.message_id, message.body)
                if self._returned[key] > 0:
                    self._returned[key] -= 1
                    refused.append(message)
                else:
                    taken.append(message)
            self._returned = +self._returned
        self._settle(messages, confirmed=taken, refused=refused)
        if self._waiting:
            self._write()

    def _settle(
        self,
        messages: Sequence[Message],
        *,
        confirmed: Sequence[Message] = (),
        refused: Sequence[Message] = (),
        unpublishable: Sequence[Message] = (),
        reason: str = "",
    ) -> None:
        """Report what became of messages to the thread that publishes."""
        with self._changed:
            self._end_silence()
            self._open -= len(messages)
            self._open_bytes -= sum(len(message.body) for message in messages)
            self._confirmed += confirmed
            self._refused += refused
            self._unpublishable += unpublishable
            self._unpublishable_reason = reason or self._unpublishable_reason
            self._changed.notify()
        if self._suspects.left:
            self._suspects.on_settled(len(messages))
            if not self._suspects.left:
                self._leave_alone()


class _PublishCall:
    """One call of `publish`."""

    def __init__(
        self, publisher: RabbitMQPublisher, confirmed: Confirmed | None, stop: Stop
    ) -> None:
        self._publisher = publisher
        self._on_confirmed = confirmed
        self._stop = stop
        self.count = 0

    def send(self, batch: Sequence[Message]) -> Sequence[Message]:
        """Publish a batch as the window has room; returns what was not even tried, because the
        broker refuses messages."""
        for start in range(0, len(batch), _CHUNK):
            chunk = batch[start : start + _CHUNK]
            self._wait(chunk)
            if self._publisher.has_refusals:
                return batch[start:]
            self._publisher.enqueue(chunk)
        self._wait(())
        return ()

    def finish(self) -> None:
        """Wait until every message was confirmed or refused."""
        self._wait(None)

    def _wait(self, room_for: Sequence[Message] | None) -> None:
        while confirmed := self._publisher.wait_for_confirms(self._stop, room_for):
            self.count += len(confirmed)
            if self._on_confirmed is not None:
                self._on_confirmed(confirmed)
