"""What `produce` does with events, over both brokers."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from dlmon.brokers import open_broker
from dlmon.brokers.base import Broker
from dlmon.commands.produce import ProduceResult, produce
from dlmon.config.settings import Settings
from dlmon.config.urls import LocalAddress
from dlmon.errors import ExitCode, FileError, Interrupted, PublishRefused
from dlmon.messages import PUBLISHED_AT, Delivery, Queue
from dlmon.monitoring.observers import ProduceObserver
from dlmon.monitoring.totals import ProduceTotals
from dlmon.runtime.stop import Stop
from dlmon.sources.base import EventSource
from dlmon.sources.ledger import Ledger
from dlmon.sources.pacing import Pace
from dlmon.sources.recorded import RecordedEvents
from dlmon.sources.simulation import Simulation
from tests.support.amqp import raw_channel
from tests.support.dlmon import url_of
from tests.support.events import make_body
from tests.support.ledger import read_ledger
from tests.support.messages import PATIENCE, in_queue, receive, wait_until

Closed = Callable[[], AbstractContextManager[None]]


class Watcher(ProduceObserver):
    """Keeps what it was told."""

    def __init__(self) -> None:
        self.sent = self.confirmed = 0
        self.refusals: list[PublishRefused | None] = []

    def on_progress(self, totals: ProduceTotals) -> None:
        self.sent, self.confirmed = totals.sent, totals.confirmed

    def on_refused(self, error: PublishRefused | None) -> None:
        self.refusals.append(error)


class Running:
    """`produce` in a thread of its own."""

    def __init__(
        self, broker: Broker, source: EventSource, pace: Pace, **options: int | Ledger
    ) -> None:
        self.stop = Stop()
        self.watcher = Watcher()
        self._results: list[ProduceResult] = []
        count, ledger = options.get("count"), options.get("ledger")
        assert not isinstance(count, Ledger)
        assert not isinstance(ledger, int)

        def run() -> None:
            self._results.append(
                produce(
                    broker,
                    source,
                    pace,
                    self.stop,
                    count=count,
                    ledger=ledger,
                    observer=self.watcher,
                )
            )

        self._thread = threading.Thread(target=run)
        self._thread.start()

    def result(self) -> ProduceResult:
        self._thread.join(PATIENCE)
        [result] = self._results
        return result


@pytest.fixture
def closed(settings: Settings) -> Closed:
    """While it lasts, arrivals takes no message."""
    return lambda: _closed(settings)


@pytest.fixture
def bare_broker(settings: Settings, broker: Broker) -> Iterator[Broker]:
    """A broker that leaves the topology as it is: what somebody unbound stays so."""
    with open_broker(replace(settings, declare=False)) as bare:
        yield bare


@contextmanager
def _closed(settings: Settings) -> Iterator[None]:
    queue = f"{settings.namespace}.arrivals"
    if isinstance(settings.broker, LocalAddress):
        with closing(sqlite3.connect(settings.broker.path, isolation_level=None)) as database:
            database.execute(
                "CREATE TRIGGER closed BEFORE INSERT ON message "
                "BEGIN SELECT RAISE(ABORT, 'closed'); END"
            )
            yield
            database.execute("DROP TRIGGER closed")
        return
    with raw_channel(url_of(settings)) as channel:
        binding = {"exchange": settings.namespace, "routing_key": "download.completed"}
        channel.queue_unbind(queue, **binding)
        yield
        channel.queue_bind(queue, **binding)


def id_and_body(deliveries: list[Delivery]) -> Counter[tuple[str | None, bytes]]:
    return Counter((delivery.message_id, delivery.body) for delivery in deliveries)


def test_every_event_is_there_with_its_id_and_the_time_it_was_published(broker: Broker) -> None:
    before = time.time_ns() // 1_000_000
    result = produce(broker, Simulation(seed=1, start=0, invalid=0.1), Pace(0), Stop(), count=2_500)
    after = time.time_ns() // 1_000_000
    assert result.error is None
    assert (result.totals.sent, result.totals.confirmed) == (2_500, 2_500)
    assert result.totals.verdicts.total() == 2_500
    assert result.totals.verdicts["valid"] > 2_000

    arrived = in_queue(broker, Queue.ARRIVALS)
    planned = Simulation(seed=1, start=0, invalid=0.1).take(2_500)
    assert id_and_body(arrived) == Counter((event.message_id, event.body) for event in planned)
    for delivery in arrived:
        published_at = delivery.headers[PUBLISHED_AT]
        assert isinstance(published_at, int)
        assert before <= published_at <= after


def test_recorded_events_go_out_byte_for_byte_all_of_them(broker: Broker, tmp_path: Path) -> None:
    same = make_body()
    lines = [make_body(), same, same, b" {}", b"\xff", b"x" * 100_000, b"\0", make_body()]
    path = tmp_path / "events.ndjson"
    path.write_bytes(b"\r\n".join(lines))
    with RecordedEvents(path) as source:
        result = produce(broker, source, Pace(0), Stop())
    assert (result.totals.confirmed, result.totals.verdicts.total()) == (8, 0)
    assert Counter(d.body for d in in_queue(broker, Queue.ARRIVALS)) == Counter(lines)


def test_a_duration_ends_it_with_exactly_its_events(broker: Broker) -> None:
    started = time.monotonic()
    result = produce(broker, Simulation(), Pace(200, duration=1.0), Stop())
    assert time.monotonic() - started >= 1.0
    assert (result.totals.sent, result.totals.confirmed) == (200, 200)


def test_events_arrive_when_they_are_due_and_are_confirmed_while_nothing_more_is(
    settings: Settings, broker: Broker
) -> None:
    running = Running(broker, Simulation(), Pace(0.01))
    with open_broker(settings) as other, other.open_consumer(10) as consumer:
        receive(consumer, 1)
        wait_until(lambda: running.watcher.confirmed == 1)
    started = time.monotonic()
    running.stop.request()
    result = running.result()
    assert time.monotonic() - started < PATIENCE  # the next event is due in 100 s
    assert (result.totals.sent, result.totals.confirmed, result.error) == (1, 1, None)


def test_at_a_stop_everything_that_was_sent_is_waited_for(broker: Broker, tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger") as ledger:
        running = Running(broker, Simulation(invalid=0.3), Pace(0), ledger=ledger)
        wait_until(lambda: running.watcher.sent > 5_000)
        running.stop.request()
        result = running.result()
    assert result.error is None
    assert result.totals.sent == result.totals.confirmed
    arrived = Counter(delivery.message_id for delivery in in_queue(broker, Queue.ARRIVALS))
    planned, confirmed = read_ledger(tmp_path / "ledger")
    assert confirmed == arrived
    assert arrived.total() == planned.total() == result.totals.sent
    verdicts = Counter(verdict for _, verdict in planned.elements())
    assert verdicts == result.totals.verdicts


@pytest.mark.slow
def test_what_is_refused_is_published_again_until_it_is_taken(
    bare_broker: Broker, closed: Closed, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Ledger(tmp_path / "ledger") as ledger:
        with closed():
            running = Running(bare_broker, Simulation(), Pace(0), count=20_000, ledger=ledger)
            wait_until(lambda: len(running.watcher.refusals) >= 3)
            assert running.watcher.sent < 20_000
            assert read_ledger(tmp_path / "ledger")[1] == Counter()
        result = running.result()
    assert (result.totals.sent, result.totals.confirmed, result.error) == (20_000, 20_000, None)
    assert running.watcher.refusals[-1] is None
    arrived = Counter(delivery.message_id for delivery in in_queue(bare_broker, Queue.ARRIVALS))
    planned, confirmed = read_ledger(tmp_path / "ledger")
    assert confirmed == Counter(message_id for message_id, _ in planned.elements())
    assert set(confirmed.values()) == {1}
    # A message can be there twice where a connection was lost before it was confirmed.
    assert set(arrived) == set(confirmed)
    told = [record for record in caplog.records if "Trying again" in record.getMessage()]
    assert len(told) == 1


def test_while_events_are_refused_the_schedule_stands_still(
    bare_broker: Broker, closed: Closed
) -> None:
    with closed():
        running = Running(bare_broker, Simulation(), Pace(100))
        wait_until(lambda: len(running.watcher.refusals) >= 4)
        sent, opened = running.watcher.sent, time.monotonic()
    wait_until(lambda: running.watcher.refusals[-1] is None)
    running.stop.request()
    result = running.result()
    assert result.totals.sent == result.totals.confirmed
    # No more than what was due since then, and none of what was due while they were refused.
    assert result.totals.sent < sent + 60 + 100 * (time.monotonic() - opened)


def test_a_stop_that_expires_says_how_many_events_are_unconfirmed(
    bare_broker: Broker, closed: Closed, tmp_path: Path
) -> None:
    stop = Stop(grace=0.5)
    with closed(), Ledger(tmp_path / "ledger") as ledger:
        threading.Timer(0.5, stop.request).start()
        result = produce(bare_broker, Simulation(), Pace(50), stop, ledger=ledger)
    assert isinstance(result.error, Interrupted)
    assert result.error.exit_code == ExitCode.INTERRUPTED
    assert str(result.error).startswith(f"{result.totals.sent} events were sent and not confirmed")
    assert result.totals.confirmed == 0
    planned, confirmed = read_ledger(tmp_path / "ledger")
    assert (planned.total(), confirmed.total()) == (result.totals.sent, 0)


def test_when_the_source_breaks_what_came_before_is_published(
    broker: Broker, tmp_path: Path
) -> None:
    path = tmp_path / "events.ndjson.gz"
    path.write_bytes(b"1\n2\n" + b"x" * (17 * 1024 * 1024))
    with RecordedEvents(path) as source:
        result = produce(broker, source, Pace(0), Stop())
    assert isinstance(result.error, FileError)
    assert result.totals.confirmed == 2
    assert sorted(d.body for d in in_queue(broker, Queue.ARRIVALS)) == [b"1", b"2"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_nothing_is_published_that_the_ledger_does_not_have(broker: Broker) -> None:
    with Ledger(Path("/dev/full")) as ledger:
        result = produce(broker, Simulation(), Pace(0), Stop(), ledger=ledger)
    assert isinstance(result.error, FileError)
    assert result.totals.sent == 0
    assert in_queue(broker, Queue.ARRIVALS) == []


@pytest.mark.slow
def test_large_events_do_not_pile_up(broker: Broker, tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    path.write_bytes((b"x" * (4 * 1024 * 1024) + b"\n") * 25)
    with RecordedEvents(path) as source:
        result = produce(broker, source, Pace(0), Stop())
    assert (result.totals.confirmed, result.error) == (25, None)
