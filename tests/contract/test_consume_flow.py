"""What `consume` does with events, over both brokers."""

from __future__ import annotations

import gzip
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from dlmon.brokers.base import Broker
from dlmon.brokers.local import LocalBroker
from dlmon.commands.consume import ConsumeResult, consume
from dlmon.config.names import Names
from dlmon.errors import PublishRefused
from dlmon.event import id_from_body
from dlmon.messages import PUBLISHED_AT, Message, Queue
from dlmon.monitoring.observers import ConsumeObserver
from dlmon.rejects.rejection import Rejection, from_delivery
from dlmon.runtime.stop import Stop
from dlmon.stores.sqlite import SqliteStore
from dlmon.validation.schema import Schema, load_schema
from dlmon.validation.validator import Validator
from dlmon.validation.violations import Verdict
from tests.support.events import make_body
from tests.support.holding import HoldingObserver
from tests.support.messages import PATIENCE, wait_until


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    with SqliteStore(path) as store:
        yield store


@pytest.fixture
def validator() -> Validator:
    return Validator(load_schema())


def publish(broker: Broker, bodies: Sequence[bytes]) -> None:
    messages = [
        Message(body, id_from_body(body), {PUBLISHED_AT: time.time_ns() // 1_000_000})
        for body in bodies
    ]
    broker.publish(Queue.ARRIVALS, [messages])


def stored(path: Path) -> list[bytes]:
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT body FROM events ORDER BY rowid")
        return [body.encode() for (body,) in rows]


def parked(broker: Broker, validator: Validator) -> list[Rejection]:
    with broker.open_reader(Queue.REJECTS) as reader:
        return [from_delivery(delivery, validator) for delivery in reader.read(10_000)]


def is_empty(broker: Broker) -> bool:
    depth = broker.depth(Queue.ARRIVALS)
    return depth.ready == 0 and not depth.held


def test_valid_events_are_stored_and_nothing_is_left(
    broker: Broker, store: SqliteStore, path: Path, validator: Validator
) -> None:
    bodies = [make_body() for _ in range(250)]
    publish(broker, bodies)
    result = consume(broker, store, validator, Stop(), batch=100, until_empty=True)
    totals = result.totals
    assert (totals.received, totals.stored, totals.duplicates) == (250, 250, 0)
    assert totals.delay.count == totals.speed.count == 250
    assert stored(path) == bodies
    wait_until(lambda: is_empty(broker))


def test_the_same_events_again_are_duplicates(
    broker: Broker, store: SqliteStore, path: Path, validator: Validator
) -> None:
    bodies = [make_body() for _ in range(10)]
    for _ in range(2):
        publish(broker, bodies)
        result = consume(broker, store, validator, Stop(), until_empty=True)
    assert (result.totals.stored, result.totals.duplicates) == (0, 10)
    assert stored(path) == bodies
    assert parked(broker, validator) == []


BODIES = {
    "empty": (b"", "not-json"),
    "NUL": (b"\0", "not-json"),
    "truncated": (make_body()[:-20], "not-json"),
    "trailing garbage": (make_body() + b"xyz", "not-json"),
    "invalid UTF-8": (make_body().replace(b"file_size", b"file_\xff"), "not-utf8"),
    "BOM": (b"\xef\xbb\xbf" + make_body(), "not-json"),
    "UTF-16": (make_body().decode().encode("utf-16"), "not-utf8"),
    "lone surrogate": (make_body(note="x").replace(b'"x"', b'"\\ud800"'), "not-json"),
    "NaN": (make_body(file_size=7).replace(b'"file_size":7', b'"file_size":NaN'), "not-json"),
    "1e400": (make_body(file_size=7).replace(b'"file_size":7', b'"file_size":1e400'), "not-json"),
    "5,000 digits": (
        make_body(file_size=7).replace(b'"file_size":7', b'"file_size":' + b"9" * 5000),
        "not-json",
    ),
    "100,000 levels": (b"[" * 100_000 + b"]" * 100_000, "too-large"),
    "32,000 levels": (b"[" * 32_000 + b"]" * 32_000, "not-json"),
    "null": (b"null", "type"),
    "true": (b"true", "type"),
    "number": (b"17", "type"),
    "string": (b'"event"', "type"),
    "array": (b"[]", "type"),
    "duplicate keys": (make_body().replace(b"{", b'{"event_id":"x",', 1), "duplicate-key"),
    "ANSI and markup": (make_body(timestamp="\x1b[31m[bold red]\x1b]0;title\x07"), "format"),
    "over the limit": (make_body(note="x" * 65_536), "too-large"),
    "gzip": (gzip.compress(make_body(), mtime=1), "not-utf8"),
    "2^63 bytes": (make_body(file_size=2**63), "maximum"),
    "2^63 megabits": (make_body(download_speed=2**63), "unstorable"),
    "2^64 - 1 megabits": (make_body(download_speed=2**64 - 1), "unstorable"),
    "second 60": (make_body(timestamp="2016-12-31T23:59:60Z"), "unstorable"),
    "year 0": (make_body(timestamp="0000-01-01T00:00:00Z"), "unstorable"),
    "year 0 in UTC": (make_body(timestamp="0001-01-01T00:00:00+01:00"), "unstorable"),
    "NUL in a text": (make_body(timestamp="2026-03-01T12:00:00Z\0"), "format"),
}


@pytest.mark.parametrize(("body", "code"), BODIES.values(), ids=BODIES.keys())
def test_a_bad_body_is_parked_once_with_its_bytes_and_the_next_event_stored(
    broker: Broker, store: SqliteStore, path: Path, validator: Validator, body: bytes, code: str
) -> None:
    good = make_body()
    publish(broker, [body, good])
    consume(broker, store, validator, Stop(), name="tester", until_empty=True)
    (rejection,) = parked(broker, validator)
    assert (rejection.body, rejection.code) == (body, code)
    assert rejection.message_id == id_from_body(body)
    assert rejection.rejected_by == "tester"
    assert rejection.schema == validator.schema.version
    assert stored(path) == [good]
    wait_until(lambda: is_empty(broker))


def test_another_event_with_a_known_id_is_parked_as_a_conflict(
    broker: Broker, store: SqliteStore, path: Path, validator: Validator
) -> None:
    first, last = make_body(), make_body()
    other = make_body(event_id=orjson.loads(first)["event_id"], file_size=1)
    publish(broker, [first, other, last])
    consume(broker, store, validator, Stop(), until_empty=True)
    (rejection,) = parked(broker, validator)
    assert (rejection.body, rejection.code, rejection.path) == (other, "id-conflict", "/event_id")
    assert stored(path) == [first, last]


def test_members_that_the_store_needs_are_named_where_another_schema_does_not(
    broker: Broker, store: SqliteStore, path: Path
) -> None:
    loose = Validator(Schema({"type": "object"}, "loose"))
    good = make_body()
    publish(broker, [make_body(coordinates={"longitude": 1}), good, b"{}"])
    result = consume(broker, store, loose, Stop(), until_empty=True)
    reasons = [(rejection.path, rejection.reason) for rejection in parked(broker, loose)]
    assert sorted(reasons) == [
        ("/coordinates/latitude", "the store needs /coordinates/latitude"),
        ("/timestamp", "the store needs /timestamp"),
    ]
    assert stored(path) == [good]
    assert result.totals.rejected.count == 2


def test_count_takes_no_more_than_it_says(
    broker: Broker, store: SqliteStore, path: Path, validator: Validator
) -> None:
    publish(broker, [make_body() for _ in range(10)])
    result = consume(broker, store, validator, Stop(), batch=3, count=7)
    assert result.totals.received == len(stored(path)) == 7
    wait_until(lambda: broker.depth(Queue.ARRIVALS).ready == 3)
    with broker.open_consumer(10) as consumer:
        left = consumer.receive(10, 5)
    assert [delivery.delivery_count for delivery in left] == [0, 0, 0]


class Locked:
    """A store that another process keeps locked."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)

    def __enter__(self) -> Locked:
        self._connection.execute("BEGIN EXCLUSIVE")
        return self

    def unlock(self) -> None:
        self._connection.execute("ROLLBACK")

    def __exit__(self, *_: object) -> None:
        self._connection.close()


class Consuming(threading.Thread):
    """`consume` in a thread."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__()
        self._consume: Callable[[], ConsumeResult] = partial(consume, *arguments, **options)
        self._result: ConsumeResult | None = None

    def run(self) -> None:
        self._result = self._consume()

    def result(self) -> ConsumeResult:
        self.join(PATIENCE)
        assert self._result is not None
        return self._result


def test_a_batch_is_held_while_the_store_is_locked_and_nothing_is_returned(
    broker: Broker, store: SqliteStore, path: Path, validator: Validator
) -> None:
    bodies = [make_body() for _ in range(20)]
    publish(broker, bodies)
    watcher = HoldingObserver()
    with Locked(path) as lock:
        consuming = Consuming(broker, store, validator, Stop(), count=20, observer=watcher)
        consuming.start()
        assert watcher.held.wait(PATIENCE)
        assert broker.depth(Queue.ARRIVALS).ready == 0
        lock.unlock()
        totals = consuming.result().totals
    assert (totals.received, totals.stored, totals.duplicates) == (20, 20, 0)
    assert stored(path) == bodies
    assert "locked" in str(watcher.errors[0])
    assert watcher.errors[-1] is None


def test_a_batch_that_was_held_too_long_is_given_back_once_and_taken_again(
    broker: Broker, store: SqliteStore, path: Path, validator: Validator
) -> None:
    bodies = [make_body() for _ in range(20)]
    publish(broker, bodies)
    with Locked(path) as lock:
        consuming = Consuming(broker, store, validator, Stop(), count=20, hold=0.1)
        consuming.start()
        wait_until(lambda: broker.depth(Queue.ARRIVALS).ready == 0)
        wait_until(lambda: broker.depth(Queue.ARRIVALS).ready == 20)
        time.sleep(1.5)  # while the store alone is probed
        assert broker.depth(Queue.ARRIVALS).ready == 20
        lock.unlock()
        totals = consuming.result().totals
    assert (totals.received, totals.stored, totals.duplicates) == (20, 20, 0)
    assert sorted(stored(path)) == sorted(bodies)


def test_a_stop_leaves_a_batch_that_cannot_be_stored_and_says_so(
    broker: Broker, store: SqliteStore, path: Path, validator: Validator
) -> None:
    publish(broker, [make_body() for _ in range(20)])
    stop = Stop(grace=0.2)
    watcher = HoldingObserver()
    with Locked(path):
        consuming = Consuming(broker, store, validator, stop, observer=watcher)
        consuming.start()
        assert watcher.held.wait(PATIENCE)
        stop.request()
        result = consuming.result()
    assert "20 events in hand were left" in str(result.interrupted)
    assert result.totals.received == 0
    wait_until(lambda: broker.depth(Queue.ARRIVALS).ready == 20)


def test_a_stop_finishes_the_batch_in_hand(
    broker: Broker, store: SqliteStore, path: Path, validator: Validator
) -> None:
    stop = Stop()

    class StopAtFirst(ConsumeObserver):
        def on_settled(self, *_: object) -> None:
            stop.request()

    publish(broker, [make_body() for _ in range(300)])
    result = consume(broker, store, validator, stop, batch=100, observer=StopAtFirst())
    assert result.interrupted is None
    assert result.totals.received == result.totals.stored == len(stored(path))
    left = 300 - result.totals.received
    assert left > 0
    wait_until(lambda: broker.depth(Queue.ARRIVALS).ready == left)


class Killed(BaseException):
    """Stands for the end of the process: what is in hand comes back."""


class Deadly(Validator):
    """A validator that one event kills."""

    def validate(self, body: bytes) -> Verdict:
        if b"poison" in body:
            raise Killed
        return super().validate(body)


def test_an_event_that_kills_the_process_goes_to_rejects_and_it_alone(
    broker: Broker, store: SqliteStore, path: Path, validator: Validator
) -> None:
    bodies = [make_body() for _ in range(200)]
    poison = make_body(note="poison")
    publish(broker, [*bodies[:100], poison, *bodies[100:]])
    deadly = Deadly(validator.schema)
    for _ in range(30):
        try:
            consume(broker, store, deadly, Stop(), batch=50, until_empty=True)
            break
        except Killed:
            pass
    wait_until(lambda: broker.depth(Queue.REJECTS).ready > 0)
    assert sorted(stored(path)) == sorted(bodies)
    (rejection,) = parked(broker, validator)
    assert (rejection.body, rejection.code) == (poison, "undeliverable")


class Refusing(LocalBroker):
    """A broker whose rejects queue is full for a while: it takes one message of each batch."""

    refusals = 3

    def publish(self, queue: Queue, batches: Any, **options: Any) -> int:
        (messages,) = batches
        if queue is Queue.REJECTS and self.refusals:
            self.refusals -= 1
            super().publish(queue, [messages[:1]], **options)
            raise PublishRefused("The queue is full.", messages[1:])
        return super().publish(queue, [messages], **options)


def test_a_refused_park_is_tried_again_and_nothing_is_parked_twice(
    store: SqliteStore, path: Path, validator: Validator, tmp_path: Path, namespace: str
) -> None:
    good = make_body()
    bad = [make_body(file_size=-n) for n in range(1, 9)]
    with Refusing(tmp_path / "broker.db", Names(namespace)) as broker:
        publish(broker, [*bad, good])
        result = consume(broker, store, validator, Stop(), until_empty=True)
        assert Counter(r.body for r in parked(broker, validator)) == Counter(bad)
        wait_until(lambda: is_empty(broker))
    assert stored(path) == [good]
    assert (result.totals.stored, result.totals.rejected.count) == (1, 8)


def test_nothing_is_acknowledged_while_parking_is_refused(
    store: SqliteStore, validator: Validator, tmp_path: Path, namespace: str
) -> None:
    class Full(Refusing):
        refusals = 1000

    stop = Stop(grace=0)
    watcher = HoldingObserver()
    with Full(tmp_path / "broker.db", Names(namespace)) as broker:
        publish(broker, [b"bad", b"worse", make_body()])
        consuming = Consuming(broker, store, validator, stop, observer=watcher)
        consuming.start()
        assert watcher.held.wait(PATIENCE)
        assert broker.depth(Queue.ARRIVALS).held == 3
        stop.request()
        assert "The queue is full" in str(consuming.result().interrupted)
        assert broker.depth(Queue.ARRIVALS).ready == 3


def test_until_empty_waits_for_what_others_have_in_hand(
    store: SqliteStore, path: Path, validator: Validator, tmp_path: Path, namespace: str
) -> None:
    body = make_body()
    with LocalBroker(tmp_path / "broker.db", Names(namespace)) as broker:
        publish(broker, [body])
        with broker.open_consumer(1) as other:
            assert len(other.receive(1, 5)) == 1
            consuming = Consuming(broker, store, validator, Stop(), until_empty=True)
            consuming.start()
            consuming.join(0.5)
            assert consuming.is_alive()
        assert consuming.result().totals.stored == 1
    assert stored(path) == [body]
