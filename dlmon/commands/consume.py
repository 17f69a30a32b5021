"""Receive, validate, store, park, acknowledge: in this order and in batches.

Nothing is acknowledged before it is committed in the store or confirmed in rejects. After a crash
at any point the events are delivered again, and the store ignores those that it has.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from dlmon.brokers.base import Broker, Consumer
from dlmon.brokers.counts import ParkedCount, explain_vanished
from dlmon.commands.batches import BATCH, delivery_count_of, portions
from dlmon.commands.continents import count_by_continent
from dlmon.commands.delays import count_delays
from dlmon.commands.loads import Load, loads
from dlmon.commands.parking import Parking
from dlmon.commands.returning import ReturningRejects
from dlmon.commands.validating import validate_load
from dlmon.errors import (
    BrokerError,
    Interrupted,
    StoreError,
    StoreUnavailable,
)
from dlmon.event import DOWNLOAD_SPEED
from dlmon.messages import PUBLISHED_AT, Delivery, Queue
from dlmon.monitoring.observers import ConsumeObserver
from dlmon.monitoring.totals import ConsumeTotals
from dlmon.rejects.rejection import Rejection, message_id_of, reject
from dlmon.runtime.backoff import Backoff
from dlmon.runtime.stop import Stop
from dlmon.stores.base import Entry, Store, WriteResult, write_isolating
from dlmon.unpacking.unpacker import Unpacker
from dlmon.validation.storable import refuse_unstorable
from dlmon.validation.validator import Validator
from dlmon.validation.violations import Violation

HOLD = 5 * 60.0
"""Seconds that a batch is held while storing or parking fails. RabbitMQ closes a channel that holds
a delivery for longer than `consumer_timeout`, by default 30 minutes."""

_PREFETCHED_BATCHES = 2
_IDLE = 1.0  # seconds
_IDLE_UNTIL_EMPTY = 0.1
_WARNING_INTERVAL = 60.0
_RETRY_AT_STOP = 0.1

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ConsumeResult:
    """What `consume` did in how many seconds.

    interrupted: why the batch in hand was left unacknowledged, where a stop could not wait for it.
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
    by_continent: bool = False,
) -> ConsumeResult:
    """Move events from arrivals to the store, and to rejects those that do not belong there.

    Ends at a stop, after `count` events and the rest of the message that has the last of them, or,
    with `until_empty`, when arrivals is empty and no other consumer has events of it in hand.
    name: goes into each rejection as its consumer. hold: seconds that a batch is held before it is
    given back. by_continent: whether downloads are counted by continent, too.

    Raises: SchemaError for a schema that lets nothing pass which the store can hold. BrokerError
    when the broker cannot be used any more, RejectsReturned when it moves what
    is parked back to arrivals. BrokenPipeError when stdout is the store and its reader has gone.
    """
    if store.has_columns:
        refuse_unstorable(validator.schema)
    run = _ConsumeRun(
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
        by_continent=by_continent,
        unpacker=Unpacker(validator.schema, validator.max_message_bytes),
    )
    started = time.monotonic()
    interrupted = None
    try:
        run.run()
        run.check_parked(due=False)
    except Interrupted as error:
        interrupted = error
    return ConsumeResult(run.totals, time.monotonic() - started, interrupted)


@dataclass(frozen=True, slots=True)
class _Stored:
    """A load whose valid events are stored. Its messages are acknowledged once its rejections are
    parked. published: when the events were that were stored at `committed_at`."""

    consumer: Consumer
    completed: Sequence[Delivery]
    events: int
    written: WriteResult
    parking: Parking
    published: list[object]
    committed_at: int


class _HeldTooLong(Exception):
    """The batch in hand has to be given back. `probe` succeeds once taking another makes sense."""

    def __init__(self, probe: Callable[[], None]) -> None:
        super().__init__()
        self.probe = probe


@dataclass(slots=True, kw_only=True)
class _ConsumeRun:
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
    by_continent: bool
    unpacker: Unpacker
    totals: ConsumeTotals = field(default_factory=ConsumeTotals)
    in_hand: int = 0
    returning: ReturningRejects = field(init=False)
    looping: list[Delivery] = field(default_factory=list)
    taken: int = 0  # events that are settled, or in `unfinished`
    unfinished: _Stored | None = None
    parked: ParkedCount = field(init=False)

    def __post_init__(self) -> None:
        self.returning = ReturningRejects(self.broker.names.routing_key(Queue.REJECTS))
        self.parked = ParkedCount(self.broker, self.stop)

    def run(self) -> None:
        self.observer.on_idle(self.totals)
        while not self.stop.requested:
            try:
                with self.broker.open_consumer(
                    _PREFETCHED_BATCHES * self.batch, self._remaining()
                ) as consumer:
                    self._consume_from(consumer)
            except _HeldTooLong as held:
                probe = held.probe
            else:
                return
            _log.warning("Gave back %d events; more are taken once it works again.", self.in_hand)
            self.in_hand = 0
            self.unfinished = None
            self.taken = self.totals.received
            self._retry(probe)

    def _remaining(self) -> int | None:
        return None if self.count is None else max(0, self.count - self.taken)

    def _consume_from(self, consumer: Consumer) -> None:
        was_empty = False
        while not self.stop.requested and (remaining := self._remaining()) != 0:
            limit = self.batch if remaining is None else min(self.batch, remaining)
            idle = _IDLE_UNTIL_EMPTY if self.until_empty else _IDLE
            deliveries = consumer.receive(limit, 0 if self.unfinished else idle)
            self.in_hand += len(deliveries)
            for portion in portions(deliveries):
                for load in loads(portion, self.unpacker, self.batch):
                    self._settle(consumer, load)
            self._trim()
            if self.parked.is_due:
                self._finish()
                self.check_parked()
            if deliveries:
                was_empty = False
            elif self.unfinished:
                self._finish()
            elif was_empty:
                # Empty twice: an event can arrive between an empty receive and the depth.
                return
            else:
                self.observer.on_idle(self.totals)
                was_empty = self.until_empty and self.broker.has_no_arrivals()
        self._finish()

    def check_parked(self, *, due: bool = True) -> None:
        """Warn of rejects that were parked, and are gone."""
        if vanished := self.parked.vanished(due=due):
            _log.warning("%s", explain_vanished("the rejects queue", vanished))

    def _trim(self) -> None:
        """Delete old events. A failure is only logged, because no event is in hand."""
        try:
            self.totals.deleted += self.store.trim()
        except StoreError as error:
            _log.warning("Old events are not deleted for now. %s", error)

    def _settle(self, consumer: Consumer, load: Load) -> None:
        """Store and park the events of a load, and then acknowledge the messages it completes.

        That may still be to do when this returns: parking goes on while the next load is stored.
        """
        alone = len(load.completed) <= 1  # perhaps a message that kills the process
        if alone:
            self._finish()
        with self._timed("judge"):
            validated = validate_load(load, self.validator)
            entries, sources = validated.entries, validated.sources
            rejections: list[Rejection] = []
            for delivery, violations, value in validated.invalid:
                self._reject(rejections, delivery, violations, value)
        with self._timed("store"):
            written = self._write(entries)
        committed_at = _now()
        if len(written.stored) < len(entries):
            numbers = {id(entry): number for number, entry in enumerate(entries)}
            sources = [sources[numbers[id(entry)]] for entry in written.stored]
            for entry, violation in written.refused:
                delivery = validated.delivery_of(numbers[id(entry)])
                self._reject(rejections, delivery, (violation,), entry.event)
        self._finish()
        parking = Parking(self.broker, rejections, self.stop, self.hold)
        events = len(entries) + len(validated.invalid) - len(self.looping)
        self.taken += events
        published = [delivery.headers.get(PUBLISHED_AT) for delivery in sources]
        self.unfinished = _Stored(
            consumer, load.completed, events, written, parking, published, committed_at
        )
        if rejections:
            self.parked.before_parking()
        if rejections and self.broker.publishes_beside and not alone and not self.looping:
            parking.start()
        else:
            self._finish()

    def _finish(self) -> None:
        """Park what is not parked yet, then acknowledge the messages of the load before."""
        if (stored := self.unfinished) is None:
            return
        rejections = stored.parking.rejections
        if rejections:
            # Only parking shows whether parking works. What this parks after the batch was given
            # back is parked again later: twice is safer than never.
            with self._timed("park"):
                self._retry(stored.parking.attempt, stored.parking.attempt)
            self.parked.add(len(rejections))
        self.unfinished = None
        completed = stored.completed
        if self.looping:
            left = {delivery.token for delivery in self.looping}
            completed = [delivery for delivery in completed if delivery.token not in left]
        stored.consumer.acknowledge(completed)
        self.in_hand -= len(completed)

        totals, written = self.totals, stored.written
        totals.batches += 1
        totals.messages += len(completed)
        totals.received += stored.events
        totals.redelivered += sum(map(bool, map(delivery_count_of, completed)))
        totals.stored += len(written.stored)
        totals.duplicates += len(written.duplicates)
        for rejection in rejections:
            totals.rejected.add(rejection)
        count_delays(totals, stored.published, stored.committed_at)
        totals.speed.add_all(_speeds(written.stored))
        if self.by_continent:
            count_by_continent(totals, written.stored)
        self.observer.on_settled(totals, written.stored, rejections)
        if self.looping:
            raise self.returning.error(self.looping)

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.totals.stages[stage].add(1000 * (time.perf_counter() - started))

    def _reject(
        self,
        rejections: list[Rejection],
        delivery: Delivery,
        violations: Sequence[Violation],
        value: object,
    ) -> None:
        """Add the rejection of a delivery, unless it is one that comes back for ever."""
        rejection = reject(
            delivery,
            violations,
            message_id=message_id_of(delivery, value),
            schema=self.validator.schema.version,
            rejected_by=self.name,
            rejected_at=_now(),
        )
        if self.returning.is_loop(delivery, rejection):
            self.looping.append(delivery)
        else:
            rejections.append(rejection)

    def _write(self, entries: Sequence[Entry]) -> WriteResult:
        if not entries:
            return WriteResult()
        parts: list[WriteResult] = []
        pending = [entries]

        def attempt() -> None:
            for part in write_isolating(self.store, pending):
                parts.append(part)  # one by one: they are kept when the next one fails

        self._retry(attempt, self.store.probe)
        if len(parts) == 1:
            return parts[0]
        return WriteResult(
            stored=[entry for part in parts for entry in part.stored],
            duplicates=[entry for part in parts for entry in part.duplicates],
            refused=[refused for part in parts for refused in part.refused],
        )

    def _retry(self, attempt: Callable[[], None], probe: Callable[[], None] | None = None) -> None:
        """Call `attempt` until it succeeds.

        probe: what to call instead once the batch in hand was given back; None without a batch.

        Raises: _HeldTooLong. Interrupted when a stop expired.
        """
        backoff = Backoff()
        failing_since = warn_at = time.monotonic()
        failed = False
        while True:
            try:
                attempt()
            except (StoreUnavailable, BrokerError) as error:
                now = time.monotonic()
                failed = True
                stage = "store" if isinstance(error, StoreUnavailable) else "park"
                self.totals.failures[stage] += 1
                if stage == "store" and self.unfinished and self.unfinished.parking.has_succeeded:
                    self._finish()  # before it is given back with what is held
                if now >= warn_at:
                    _log.warning("%s Trying again; %d events are held.", error, self.in_hand)
                    warn_at = now + _WARNING_INTERVAL
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


def _speeds(entries: Sequence[Entry]) -> list[float]:
    """The download speeds of events. With another schema, an event may have none."""
    speeds = [entry.event.get(DOWNLOAD_SPEED) for entry in entries if type(entry.event) is dict]
    return [speed for speed in speeds if type(speed) is float or type(speed) is int]


def _now() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000
