"""Receive, judge, store, park, acknowledge: in this order and in batches.

Nothing is acknowledged before it is committed in the store or confirmed in rejects. A crash at any
point has events delivered again, and the store knows those it has.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import attrgetter
from random import shuffle

from dlmon.brokers.base import Broker, Consumer
from dlmon.errors import (
    BrokerError,
    BrokerUnreachable,
    Interrupted,
    PublishRefused,
    StoreError,
    StoreUnavailable,
)
from dlmon.event import DOWNLOAD_SPEED, event_id_of
from dlmon.messages import PUBLISHED_AT, Delivery, Queue
from dlmon.monitoring.observers import ConsumeObserver
from dlmon.monitoring.totals import ConsumeTotals
from dlmon.rejects.rejection import Rejection, message_id_of, reject, to_message
from dlmon.runtime.backoff import Backoff
from dlmon.runtime.stop import Stop
from dlmon.stores.base import Entry, Store, WriteResult, write_isolating
from dlmon.validation.validator import Validator
from dlmon.validation.violations import UNDECODABLE_HEADERS, Violation

BATCH = 2_000
"""Events that are stored in one commit and acknowledged together."""

PORTION_BYTES = 8 * 1024 * 1024
"""Of bodies, beyond which a batch is handled in parts: judging and storing them takes several times
as much memory."""

HOLD = 5 * 60.0
"""Seconds that a batch is held while the store or the park fails. RabbitMQ closes a channel that
holds a delivery for longer than its consumer_timeout, which is 30 minutes unless configured."""

_PREFETCHED_BATCHES = 2
_IDLE = 1.0
_IDLE_UNTIL_EMPTY = 0.1
_SUSPECT = 2
_TELL_EVERY = 60.0
_RETRY_AT_STOP = 0.1
_COUNT_OF = attrgetter("delivery_count")
_BODY_OF = attrgetter("body")
_UNDECODABLE_HEADERS = Violation(UNDECODABLE_HEADERS, "", "the header table cannot be decoded")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ConsumeResult:
    """What `consume` came to.

    interrupted: why the batch in hand was left unacknowledged, when a stop did not wait for it.
    """

    totals: ConsumeTotals
    seconds: float
    interrupted: Interrupted | None = None


def consume(
    broker: Broker,
    store: Store,
    validator: Validator,
    stop: Stop,
    *,
    batch: int = BATCH,
    count: int | None = None,
    until_empty: bool = False,
    name: str = "dlmon",
    observer: ConsumeObserver | None = None,
    hold: float = HOLD,
) -> ConsumeResult:
    """Move events from arrivals to the store, and to rejects those that do not belong there.

    Ends at a stop, after `count` events, or, with `until_empty`, when arrivals is empty and nobody
    else has events of it in hand. name: who rejected an event, for those who look at it.

    Raises: BrokerError when the broker is of no use any more, BrokenPipeError of a store that
    prints.
    """
    flow = _Flow(
        broker=broker,
        store=store,
        validator=validator,
        stop=stop,
        batch=batch,
        count=count,
        until_empty=until_empty,
        name=name,
        observer=observer or ConsumeObserver(),
        hold=hold,
    )
    started = time.monotonic()
    interrupted = None
    try:
        flow.run()
    except Interrupted as error:
        interrupted = error
    return ConsumeResult(flow.totals, time.monotonic() - started, interrupted)


class _HeldTooLong(Exception):
    """The batch in hand has to be given back. `probe` tells when another one is worth taking."""

    def __init__(self, probe: Callable[[], None]) -> None:
        super().__init__()
        self.probe = probe


@dataclass(slots=True, kw_only=True)
class _Flow:
    broker: Broker
    store: Store
    validator: Validator
    stop: Stop
    batch: int
    count: int | None
    until_empty: bool
    name: str
    observer: ConsumeObserver
    hold: float
    totals: ConsumeTotals = field(default_factory=ConsumeTotals)
    in_hand: int = 0

    def run(self) -> None:
        self.observer.on_idle(self.totals)
        while not self.stop.requested:
            try:
                with self.broker.open_consumer(
                    _PREFETCHED_BATCHES * self.batch, self._left()
                ) as consumer:
                    self._consume_from(consumer)
            except _HeldTooLong as held:
                probe = held.probe
            else:
                return
            _log.warning("Gave back %d events; more are taken once it works again.", self.in_hand)
            self.in_hand = 0
            self._persist(probe)

    def _left(self) -> int | None:
        return None if self.count is None else self.count - self.totals.received

    def _consume_from(self, consumer: Consumer) -> None:
        was_empty = False
        while not self.stop.requested and (left := self._left()) != 0:
            limit = self.batch if left is None else min(self.batch, left)
            deliveries = consumer.receive(limit, _IDLE_UNTIL_EMPTY if self.until_empty else _IDLE)
            self.in_hand = len(deliveries)
            for portion in _portions(deliveries):
                self._settle(consumer, portion)
            self._trim()
            if deliveries:
                was_empty = False
            elif was_empty:
                # Asked twice: an event can come between an empty-handed receive and the look.
                return
            else:
                self.observer.on_idle(self.totals)
                was_empty = self.until_empty and self._arrivals_is_empty()

    def _trim(self) -> None:
        """Between batches, and whatever goes wrong with it: no event is in hand that could wait."""
        try:
            self.store.trim()
        except StoreError as error:
            _log.warning("Old events are not deleted for now. %s", error)

    def _arrivals_is_empty(self) -> bool:
        try:
            depth = self.broker.depth(Queue.ARRIVALS)
        except BrokerUnreachable:
            return False
        return depth.ready == 0 and not depth.held

    def _settle(self, consumer: Consumer, deliveries: Sequence[Delivery]) -> None:
        with self._timed("judge"):
            entries, sources, rejections = self._judge(deliveries)
        with self._timed("store"):
            written = self._write(entries)
        committed_at = _now()
        if len(written.stored) < len(entries):
            origins = dict(zip(map(id, entries), sources, strict=True))
            sources = [origins[id(entry)] for entry in written.stored]
            for entry, violation in written.refused:
                rejections.append(self._reject(origins[id(entry)], (violation,), entry.event))
        with self._timed("park"):
            self._park(rejections)
        consumer.acknowledge(deliveries)
        self.in_hand -= len(deliveries)

        totals = self.totals
        totals.batches += 1
        totals.received += len(deliveries)
        totals.redelivered += sum(map(bool, map(_COUNT_OF, deliveries)))
        totals.stored += len(written.stored)
        totals.duplicates += len(written.duplicates)
        for rejection in rejections:
            totals.rejected.add(rejection)
        published = [delivery.headers.get(PUBLISHED_AT) for delivery in sources]
        # Many events of a batch were published in the same millisecond.
        for at, times in Counter(at for at in published if type(at) is int).items():
            totals.delay.add(committed_at - at, times)
        totals.speed.add_all(_speeds(written.stored))
        self.observer.on_settled(totals, written.stored, rejections)

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.totals.stages[stage].add(1000 * (time.perf_counter() - started))

    def _judge(
        self, deliveries: Sequence[Delivery]
    ) -> tuple[list[Entry], list[Delivery], list[Rejection]]:
        """What is valid, from which delivery each of it came, and what is not valid."""
        entries: list[Entry] = []
        sources: list[Delivery] = []
        rejections: list[Rejection] = []
        make = tuple.__new__  # in half the time of calling Entry
        for delivery in deliveries:
            value, found = self.validator.validate(delivery.body)
            if delivery.undecodable_headers is not None:
                rejections.append(self._reject(delivery, (_UNDECODABLE_HEADERS,), value))
            elif found:
                rejections.append(self._reject(delivery, found, value))
            else:
                event_id = event_id_of(value) or message_id_of(delivery)
                entries.append(make(Entry, (event_id, delivery.body, value)))
                sources.append(delivery)
        return entries, sources, rejections

    def _reject(
        self, delivery: Delivery, violations: Sequence[Violation], value: object
    ) -> Rejection:
        return reject(
            delivery,
            violations,
            message_id=message_id_of(delivery, value),
            schema=self.validator.schema.version,
            rejected_by=self.name,
            rejected_at=_now(),
        )

    def _write(self, entries: Sequence[Entry]) -> WriteResult:
        if not entries:
            return WriteResult()
        parts: list[WriteResult] = []
        pending = [entries]

        def attempt() -> None:
            for part in write_isolating(self.store, pending):
                parts.append(part)  # one by one: they stay when the next one fails

        self._persist(attempt, self.store.probe)
        if len(parts) == 1:
            return parts[0]
        return WriteResult(
            stored=[entry for part in parts for entry in part.stored],
            duplicates=[entry for part in parts for entry in part.duplicates],
            refused=[refused for part in parts for refused in part.refused],
        )

    def _park(self, rejections: Sequence[Rejection]) -> None:
        if not rejections:
            return
        messages = [to_message(rejection) for rejection in rejections]

        def attempt() -> None:
            nonlocal messages
            try:
                self.broker.publish(Queue.REJECTS, [messages], stop=self.stop)
            except PublishRefused as refusal:
                messages = list(refusal.messages)
                raise

        # Only parking can tell whether parking works. What it parks after the batch was given back
        # is parked a second time later: twice is safer than never.
        self._persist(attempt, attempt)

    def _persist(
        self, attempt: Callable[[], None], probe: Callable[[], None] | None = None
    ) -> None:
        """Attempt until it succeeds, with a batch in hand; without one where there is no `probe`.

        Raises: _HeldTooLong. Interrupted when a stop expired.
        """
        backoff = Backoff()
        failing_since = tell_at = time.monotonic()
        failed = False
        while True:
            try:
                attempt()
            except (StoreUnavailable, BrokerError) as error:
                now = time.monotonic()
                failed = True
                stage = "store" if isinstance(error, StoreUnavailable) else "park"
                self.totals.failures[stage] += 1
                if now >= tell_at:
                    _log.warning("%s Trying again; %d events are held.", error, self.in_hand)
                    tell_at = now + _TELL_EVERY
                self.observer.on_holding(error)
                if self.stop.expired:
                    raise Interrupted(
                        f"{self.in_hand} events in hand were left and will be delivered again. "
                        f"{error}"
                    ) from error
                if probe is not None and now - failing_since >= self.hold:
                    raise _HeldTooLong(probe) from error
            else:
                if failed:
                    _log.warning("Works again after %.0f s.", time.monotonic() - failing_since)
                    self.observer.on_holding(None)
                return
            if self.stop.requested:
                if probe is None:
                    return
                time.sleep(_RETRY_AT_STOP)
            else:
                self.stop.wait(backoff.delay())


def _portions(deliveries: Sequence[Delivery]) -> Iterator[Sequence[Delivery]]:
    """What is handled together: suspects alone, and all others, as long as they are not too large.

    An event that kills this process takes with it all that is in hand. What came back several times
    is handled alone, in random order: each time half of the innocent ones are settled before it.
    """
    if not deliveries:
        return
    if (
        max(map(_COUNT_OF, deliveries)) < _SUSPECT
        and sum(map(len, map(_BODY_OF, deliveries))) <= PORTION_BYTES
    ):
        yield deliveries  # as nearly always
        return
    suspects: list[Delivery] = []
    portion: list[Delivery] = []
    size = 0
    for delivery in deliveries:
        if delivery.delivery_count >= _SUSPECT:
            suspects.append(delivery)
            continue
        size += len(delivery.body)
        if size > PORTION_BYTES and portion:
            yield portion
            portion, size = [], len(delivery.body)
        portion.append(delivery)
    if portion:
        yield portion
    shuffle(suspects)
    for suspect in suspects:
        yield [suspect]


def _speeds(entries: Sequence[Entry]) -> list[float]:
    """The download speeds of events. By another schema, one may have none, or be no object."""
    speeds = [entry.event.get(DOWNLOAD_SPEED) for entry in entries if type(entry.event) is dict]
    return [speed for speed in speeds if type(speed) is float or type(speed) is int]


def _now() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000
