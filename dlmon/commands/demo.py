"""Produce and consume side by side for a while, then look for every event that was produced."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from dlmon.brokers.base import Broker
from dlmon.commands.consume import ConsumeResult, consume
from dlmon.commands.produce import ProduceResult, produce
from dlmon.errors import DlmonError
from dlmon.messages import Queue
from dlmon.monitoring.observers import ConsumeObserver
from dlmon.monitoring.totals import ConsumeTotals
from dlmon.rejects.rejection import Rejection, from_delivery
from dlmon.runtime.stop import Stop
from dlmon.sources.base import VALID, EventSource, PlannedEvent
from dlmon.sources.pacing import Pace
from dlmon.stores.base import Entry
from dlmon.stores.sqlite import SqliteStore
from dlmon.validation.validator import Validator

_CHUNK = 1_000


@dataclass(frozen=True, slots=True)
class DemoResult:
    """Where the events went: each is `stored`, `rejected`, or `missing` from where it should be."""

    produced: ProduceResult
    consumed: ConsumeResult
    stored: int
    rejected: int
    missing: Sequence[PlannedEvent]


def demo(
    open_broker: Callable[[Stop], Broker],
    store: SqliteStore,
    source: EventSource,
    *,
    pace: Pace,
    validator: Validator,
    stop: Stop,
    observer: ConsumeObserver,
) -> DemoResult:
    """Publish the events of a source at a pace, consume them, and reconcile by event id.

    open_broker: connects to the broker; the stop ends its waits. stop: ends the production; what
    was produced until then is consumed and reconciled.

    Raises: BrokerError, StoreUnavailable.
    """
    recorded = _RecordingSource(source)
    finished = Stop()
    with open_broker(stop) as producing, open_broker(finished) as consuming:
        producer = _Producer(producing, recorded, pace, stop)
        producer.start()
        try:
            stop_when_done = _StopWhenDone(consuming, producer, finished, observer)
            consumed = consume(
                consuming, store, validator, finished, name="demo", observer=stop_when_done
            )
        finally:
            stop.request()
            producer.join()
        rejects = _count_rejects(consuming, validator)
    known = store.known(event.message_id for event in recorded.events if event.verdict == VALID)
    return _reconcile(producer.result(), consumed, recorded.events, known, rejects)


class _RecordingSource(EventSource):
    """A source that keeps the events that were taken from it."""

    def __init__(self, source: EventSource) -> None:
        self._source = source
        self.events: list[PlannedEvent] = []

    @property
    def descriptor(self) -> int | None:
        return self._source.descriptor

    @property
    def exhausted(self) -> bool:
        return self._source.exhausted

    def take(self, limit: int) -> list[PlannedEvent]:
        events = self._source.take(limit)
        self.events += events
        return events


class _Producer(threading.Thread):
    """`produce` in a thread."""

    def __init__(self, broker: Broker, source: EventSource, pace: Pace, stop: Stop) -> None:
        super().__init__(name="producer", daemon=True)
        self._produce: Callable[[], ProduceResult] = lambda: produce(broker, source, pace, stop)
        self._result: ProduceResult | None = None

    def run(self) -> None:
        self._result = self._produce()

    def result(self) -> ProduceResult:
        if self._result is None:
            raise RuntimeError("the producer's thread ended without a result")
        return self._result


class _StopWhenDone(ConsumeObserver):
    """Stops the consumer once nothing is left to consume; passes every call on."""

    def __init__(
        self, broker: Broker, producer: threading.Thread, finished: Stop, observer: ConsumeObserver
    ) -> None:
        self._broker = broker
        self._producer = producer
        self._finished = finished
        self._observer = observer

    def on_settled(
        self, totals: ConsumeTotals, stored: Sequence[Entry], rejections: Sequence[Rejection]
    ) -> None:
        self._observer.on_settled(totals, stored, rejections)

    def on_holding(self, error: DlmonError | None) -> None:
        self._observer.on_holding(error)

    def on_idle(self, totals: ConsumeTotals) -> None:
        self._observer.on_idle(totals)
        if not self._producer.is_alive():
            depth = self._broker.depth(Queue.ARRIVALS)
            if depth.ready == 0 and not depth.held:
                self._finished.request()


def _count_rejects(broker: Broker, validator: Validator) -> Counter[tuple[str, str]]:
    """How often each pair of message id and code is in rejects."""
    found: Counter[tuple[str, str]] = Counter()
    with broker.open_reader(Queue.REJECTS) as reader:
        while deliveries := reader.read(_CHUNK):
            for delivery in deliveries:
                rejection = from_delivery(delivery, validator)
                found[rejection.message_id, rejection.code] += 1
    return found


def _reconcile(
    produced: ProduceResult,
    consumed: ConsumeResult,
    events: Sequence[PlannedEvent],
    known: AbstractSet[str],
    rejects: Counter[tuple[str, str]],
) -> DemoResult:
    """Look for each event where its verdict says it should be."""
    stored = rejected = 0
    missing = []
    for event in events:
        if event.verdict == VALID and event.message_id in known:
            stored += 1
        elif rejects[event.message_id, event.verdict or ""]:
            rejects[event.message_id, event.verdict or ""] -= 1
            rejected += 1
        else:
            missing.append(event)
    return DemoResult(produced, consumed, stored, rejected, missing)
