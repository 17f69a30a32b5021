"""`dlmon produce`: publishes events at a pace until the broker has confirmed each of them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import orjson

from dlmon.brokers.base import Broker
from dlmon.brokers.retrying import publish_until_taken
from dlmon.errors import BrokerError, DlmonError, FileError, Interrupted, UsageError
from dlmon.event_files.block import in_one_line
from dlmon.messages import PUBLISHED_AT, Message, Queue
from dlmon.monitoring.observers import ProduceObserver
from dlmon.monitoring.totals import ProduceTotals
from dlmon.runtime.stdio import write_all
from dlmon.runtime.stop import Stop
from dlmon.sources.base import EventSource, PlannedEvent
from dlmon.sources.ledger import Ledger
from dlmon.sources.pacing import Pace
from dlmon.sources.packing import Packer

BATCH = 1_000
"""The most events in one batch."""

MAX_UNCONFIRMED_BYTES = 64 * 1024 * 1024
"""The most bytes of unconfirmed bodies. The broker's window counts messages, and one may have
megabytes."""

_MAX_IDLE = 0.1  # seconds without an event after which an empty batch lets confirms arrive
_GATHER = 0.001  # seconds in which several events of a pipe come together
_POLL = 0.01  # seconds without an event after which pace and window are checked again


@dataclass(frozen=True, slots=True)
class ProduceResult:
    """What was published. error: why that ended early, None if it did not."""

    totals: ProduceTotals
    seconds: float
    error: DlmonError | None = None


def produce(
    broker: Broker,
    source: EventSource,
    pace: Pace,
    stop: Stop,
    *,
    count: int | None = None,
    ledger: Ledger | None = None,
    observer: ProduceObserver | None = None,
    packer: Packer | None = None,
) -> ProduceResult:
    """Publish the events of a source when they are due, and wait until all are confirmed.

    Ends at a stop, after `count` events, at the end of the pace, or of the source. Events that the
    broker refuses are published again until it takes them. packer: by default, each message has
    one event.
    """
    run = _ProduceRun(
        source, pace, stop, count, ledger, observer or ProduceObserver(), packer or Packer()
    )
    return run.result_of(lambda: run.publish_to(broker))


def print_events(
    source: EventSource,
    pace: Pace,
    stop: Stop,
    *,
    count: int | None = None,
    ledger: Ledger | None = None,
    observer: ProduceObserver | None = None,
) -> ProduceResult:
    """Write events to stdout when they are due, one a line. None is confirmed.

    Raises: FileError without a stdout; BrokenPipeError when its reader has gone.
    """
    if sys.stdout is None:  # Python's sign that the process was started without one
        raise FileError("There is no stdout to write to: it was closed at the start.")
    run = _ProduceRun(source, pace, stop, count, ledger, observer or ProduceObserver())
    return run.result_of(run.print)


@dataclass(slots=True)
class _ProduceRun:
    """The state of one run. failure: the first error of the source or the ledger."""

    source: EventSource
    pace: Pace
    stop: Stop
    count: int | None
    ledger: Ledger | None
    observer: ProduceObserver
    packer: Packer = field(default_factory=Packer)
    totals: ProduceTotals = field(default_factory=ProduceTotals)
    unconfirmed_bytes: int = 0
    failure: UsageError | None = None
    ledger_failed: bool = False

    def result_of(self, run: Callable[[], None]) -> ProduceResult:
        started = time.monotonic()
        error: DlmonError | None = None
        try:
            run()
        except Interrupted as interruption:
            error = Interrupted(
                f"{self.totals.unconfirmed:,} events were sent and not confirmed: the broker may "
                f"have them, or not. {interruption}"
            )
        except (BrokerError, FileError) as problem:
            error = problem
        return ProduceResult(self.totals, time.monotonic() - started, self.failure or error)

    def publish_to(self, broker: Broker) -> None:
        publish_until_taken(
            broker,
            Queue.ARRIVALS,
            self._batches(),
            on_confirmed=self._confirm,
            on_refused=self.observer.on_refused,
            stop=self.stop,
        )

    def print(self) -> None:
        for batch in self._batches():
            lines = b"".join(b"%b\n" % _in_one_line(message.body) for message in batch)
            try:
                # Past Python's buffer, which would print again what had failed.
                write_all(sys.stdout.fileno(), lines)
            except BrokenPipeError:
                raise
            except OSError as error:
                raise FileError(f"Cannot write to stdout: {error.strerror}.") from error
            self.unconfirmed_bytes = 0

    def _batches(self) -> Iterator[list[Message]]:
        """Messages with the events that are due; at the end, what was gathered for one more."""
        for events in self._events():
            yield self._pack(events)
        if messages := self._pack((), last=True):
            yield messages

    def _pack(self, events: Sequence[PlannedEvent], *, last: bool = False) -> list[Message]:
        headers = {PUBLISHED_AT: time.time_ns() // 1_000_000}
        return self.packer.pack(events, headers, last=last)

    def _events(self) -> Iterator[Sequence[PlannedEvent]]:
        """Events when they are due, and empty batches in between, in which confirms arrive.

        A failure of the source or the ledger ends them and is kept in `failure`, so that the broker
        can finish the batches before.
        """
        idle = 0.0
        short = False
        while not self._ends():
            if idle and self.stop.wait(idle):
                return
            if short and self.stop.wait(_POLL, self.source.descriptor):
                return
            over = self.pace.over
            limit = self._limit()
            due = self.pace.due(limit)
            try:
                batch = self._take(due)
            except UsageError as error:
                self.failure = error
                return
            if over and not batch:
                return
            short = len(batch) < due
            if short:
                idle = _GATHER
            elif not limit:
                idle = _POLL
            else:
                idle = min(_MAX_IDLE, self.pace.delay()) if due < limit else 0.0
            self.observer.on_progress(self.totals)
            yield batch

    def _ends(self) -> bool:
        return (
            self.failure is not None
            or self.stop.requested
            or self.source.exhausted
            or self.totals.sent == self.count
        )

    def _limit(self) -> int:
        """How many events the next batch may have."""
        if self.unconfirmed_bytes > MAX_UNCONFIRMED_BYTES:
            return 0
        return BATCH if self.count is None else min(BATCH, self.count - self.totals.sent)

    def _take(self, limit: int) -> list[PlannedEvent]:
        """The next events, counted as sent. Raises: UsageError."""
        events = self.source.take(limit) if limit else []
        if not events:
            return []
        self._write_ledger(lambda ledger: ledger.plan(events))
        if self.failure is not None:
            return []
        self.pace.take(len(events))
        self.totals.sent += len(events)
        self.totals.verdicts.update(event.verdict for event in events if event.verdict is not None)
        self.unconfirmed_bytes += sum(len(event.body) for event in events)
        return events

    def _confirm(self, messages: Sequence[Message]) -> None:
        events = self.packer.events_of(messages)
        self.totals.confirmed += len(events)
        self.unconfirmed_bytes -= sum(len(event.body) for event in events)
        self._write_ledger(lambda ledger: ledger.confirm(events))
        self.observer.on_progress(self.totals)

    def _write_ledger(self, write: Callable[[Ledger], None]) -> None:
        """Write to the ledger, if there is one, until that fails once."""
        if self.ledger is None or self.ledger_failed:
            return
        try:
            write(self.ledger)
        except FileError as error:
            # Not raised through the broker, which has to finish its batches.
            self.failure = self.failure or error
            self.ledger_failed = True


def _in_one_line(body: bytes) -> bytes:
    """A JSON text in one line. Other bodies stay as they are: without its line breaks, a broken one
    could turn into a valid one."""
    if b"\n" not in body:
        return body
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        return body
    return in_one_line(body)
