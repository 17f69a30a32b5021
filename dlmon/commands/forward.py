"""`dlmon forward`: moves messages from one broker to another.

A message is acknowledged at the source once the target has confirmed it. After a crash at any point
it is sent again, and a store ignores an event that it has.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from dlmon.brokers.base import Broker, Consumer
from dlmon.brokers.retrying import publish_until_taken
from dlmon.commands.produce import ProduceResult
from dlmon.errors import (
    BrokerError,
    DlmonError,
    Interrupted,
    UnpublishableMessages,
)
from dlmon.event import identify
from dlmon.messages import PUBLISHED_AT, Delivery, HeaderValue, Message, Queue
from dlmon.monitoring.observers import ProduceObserver
from dlmon.monitoring.totals import ProduceTotals
from dlmon.rejects import headers as header
from dlmon.rejects.rejection import message_id_of, reject, to_message
from dlmon.runtime.stop import Stop
from dlmon.sources.base import PlannedEvent
from dlmon.sources.pacing import Pace
from dlmon.sources.packing import Packer
from dlmon.unpacking.unpacker import is_one_event
from dlmon.validation.violations import UNDECODABLE_HEADERS, UNDELIVERABLE, Violation

BATCH = 1_000
"""The most messages that are taken at once."""

_MAX_UNCONFIRMED_BYTES = 64 * 1024 * 1024
_IDLE = 1.0  # seconds
_IDLE_UNTIL_EMPTY = 0.1
_NOTHING_MORE = 0.01  # seconds without a message after which what was sent is waited for

_log = logging.getLogger(__name__)


def forward(
    source: Broker,
    target: Broker,
    pace: Pace,
    stop: Stop,
    *,
    packer: Packer | None = None,
    count: int | None = None,
    until_empty: bool = False,
    name: str = "dlmon",
    observer: ProduceObserver | None = None,
) -> ProduceResult:
    """Move messages from the arrivals of one broker to those of another, waiting out any outage.

    Ends at a stop, after `count` messages, or, with `until_empty`, when arrivals is empty and no
    consumer has a message of it in hand. What the target can never take is parked in the rejects of
    the source. packer: packs messages that are one event each; by default, each stays as it is.
    name: goes into each rejection. The totals count messages of the source.
    """
    run = _ForwardRun(
        source=source,
        target=target,
        pace=pace,
        stop=stop,
        packer=packer,
        count=count,
        until_empty=until_empty,
        name=name,
        observer=observer or ProduceObserver(),
    )
    started = time.monotonic()
    error: DlmonError | None = None
    try:
        run.run()
    except Interrupted as interruption:
        if run.totals.unconfirmed:  # else it waited for a broker, and nothing was under way
            error = Interrupted(
                f"{run.totals.unconfirmed:,} messages were sent and not confirmed: they are still "
                f"at the source. {interruption}"
            )
    except BrokerError as problem:
        error = problem
    return ProduceResult(run.totals, time.monotonic() - started, error)


@dataclass(slots=True, kw_only=True)
class _ForwardRun:
    """The state of one run. unconfirmed: what the target does not have for certain, and which
    deliveries each message was made of, by the identity of the message."""

    source: Broker
    target: Broker
    pace: Pace
    stop: Stop
    packer: Packer | None
    count: int | None
    until_empty: bool
    name: str
    observer: ProduceObserver
    totals: ProduceTotals = field(default_factory=ProduceTotals)
    taken: int = 0
    unconfirmed: dict[int, tuple[Message, Sequence[Delivery]]] = field(default_factory=dict)
    unconfirmed_bytes: int = 0
    packing: dict[int, Delivery] = field(default_factory=dict)  # by identity of the planned event
    packed_headers: Mapping[str, HeaderValue] = field(default_factory=dict)  # of the last of them

    def run(self) -> None:
        per_message = 1 if self.packer is None else self.packer.events_per_message
        with self.source.open_consumer(2 * max(BATCH, per_message), self.count) as consumer:
            was_empty = False
            while not self.stop.requested and self.taken != self.count:
                deliveries = self._receive(
                    consumer, _IDLE_UNTIL_EMPTY if self.until_empty else _IDLE
                )
                self.observer.on_progress(self.totals)
                if deliveries:
                    was_empty = False
                    self._send(consumer, deliveries)
                elif was_empty:
                    # Empty twice: a message can arrive between an empty receive and the depth.
                    return
                else:
                    was_empty = self.until_empty and self.source.has_no_arrivals()

    def _send(self, consumer: Consumer, deliveries: Sequence[Delivery]) -> None:
        """Send deliveries, and what comes on their heels, until the target has all of it."""

        def on_confirmed(messages: Sequence[Message]) -> None:
            settled = [
                delivery for message in messages for delivery in self._take_unconfirmed(message)
            ]
            consumer.acknowledge(settled)
            self.totals.confirmed += len(settled)
            self.observer.on_progress(self.totals)

        try:
            publish_until_taken(
                self.target,
                Queue.ARRIVALS,
                self._batches(consumer, deliveries),
                on_confirmed=on_confirmed,
                on_refused=self.observer.on_refused,
                stop=self.stop,
            )
        except UnpublishableMessages as error:
            violation = Violation(UNDELIVERABLE, "", f"not forwarded: {error}")
            for message in error.messages:
                deliveries = self._take_unconfirmed(message)
                self.totals.sent -= len(deliveries)
                self._park(consumer, deliveries, violation)

    def _batches(
        self, consumer: Consumer, deliveries: Sequence[Delivery]
    ) -> Iterator[Sequence[Message]]:
        """Messages when they are due; at the end, what was gathered for one more."""
        while deliveries:
            odd = [one for one in deliveries if one.undecodable_headers is not None]
            reason = "the header table cannot be decoded"
            self._park(consumer, odd, Violation(UNDECODABLE_HEADERS, "", reason))
            whole = [one for one in deliveries if one.undecodable_headers is None]
            for part in self.pace.spread(whole, self.stop):
                self.totals.sent += len(part)
                yield self._messages(part)
            if self.stop.requested:
                break
            deliveries = self._receive(consumer, _NOTHING_MORE)
        if messages := self._messages((), last=True):
            yield messages

    def _receive(self, consumer: Consumer, timeout: float) -> list[Delivery]:
        if self.unconfirmed_bytes > _MAX_UNCONFIRMED_BYTES:
            return []
        left = BATCH if self.count is None else min(BATCH, self.count - self.taken)
        deliveries = consumer.receive(left, timeout) if left else []
        self.taken += len(deliveries)
        return deliveries

    def _messages(self, deliveries: Sequence[Delivery], *, last: bool = False) -> list[Message]:
        """What is sent of these deliveries. last: and of those that were gathered before."""
        max_bytes = self.target.max_properties_bytes
        messages: list[Message] = []
        planned: list[PlannedEvent] = []
        for delivery in deliveries:
            message = _to_message(delivery, max_bytes)
            if self.packer is None or not _can_be_packed(delivery, message):
                self._expect(message, [delivery])
                messages.append(message)
                continue
            event = PlannedEvent(message.message_id, message.body, None)
            self.packing[id(event)] = delivery
            planned.append(event)
            self.packed_headers = message.headers
        if self.packer is None:
            return messages
        for packed in self.packer.pack(planned, self.packed_headers, last=last):
            events = self.packer.events_of([packed])
            self._expect(packed, [self.packing.pop(id(event)) for event in events])
            messages.append(packed)
        return messages

    def _expect(self, message: Message, deliveries: Sequence[Delivery]) -> None:
        self.unconfirmed[id(message)] = (message, deliveries)
        self.unconfirmed_bytes += len(message.body)

    def _take_unconfirmed(self, message: Message) -> Sequence[Delivery]:
        _, deliveries = self.unconfirmed.pop(id(message))
        self.unconfirmed_bytes -= len(message.body)
        return deliveries

    def _park(
        self, consumer: Consumer, deliveries: Sequence[Delivery], violation: Violation
    ) -> None:
        """Put deliveries aside in the rejects of the source."""
        if not deliveries:
            return
        max_bytes = self.source.max_properties_bytes
        rejections = [
            reject(
                delivery,
                (violation,),
                message_id=message_id_of(delivery),
                schema="",
                rejected_by=self.name,
                rejected_at=time.time_ns() // 1_000_000,
            )
            for delivery in deliveries
        ]
        publish_until_taken(
            self.source,
            Queue.REJECTS,
            iter([[to_message(one, max_bytes) for one in rejections]]),
            on_confirmed=lambda _messages: None,
            on_refused=self.observer.on_refused,
            stop=self.stop,
        )
        consumer.acknowledge(deliveries)
        _log.warning("%d messages were not forwarded: %s", len(deliveries), violation.reason)


def _to_message(delivery: Delivery, max_bytes: int) -> Message:
    """The message that a delivery goes on as. max_bytes: of its properties and headers."""
    kept = header.kept_headers(delivery.headers)
    own: dict[str, HeaderValue] = {}
    if (at := header.read_time(delivery.headers, PUBLISHED_AT)) is not None:
        own[PUBLISHED_AT] = at
    if replays := header.read_count(delivery.headers, header.REPLAYS):
        own[header.REPLAYS] = replays

    def build(bounds: header.Bounds) -> Message:
        limit = bounds.short_text
        return Message(
            delivery.body,
            delivery.message_id or identify(delivery.body),
            {**bounds.kept(kept), **own},
            header.short_text(delivery.content_type, limit),
            header.short_text(delivery.correlation_id, limit),
            header.short_text(delivery.content_encoding, limit),
            header.short_text(delivery.type, limit),
            header.short_text(delivery.app_id, limit),
        )

    return header.fit(build, max_bytes)


def _can_be_packed(delivery: Delivery, message: Message) -> bool:
    """Whether nothing is lost when an event shares a message with others."""
    return (
        is_one_event(delivery)
        and message.headers.keys() <= {PUBLISHED_AT}
        and message.correlation_id is message.type is message.app_id is None
    )
