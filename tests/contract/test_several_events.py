"""What `consume` does with messages that hold several events, over both brokers."""

from __future__ import annotations

import gzip
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import orjson
import pytest

from dlmon.brokers.base import Broker
from dlmon.commands.consume import consume
from dlmon.commands.produce import produce
from dlmon.messages import Delivery, Message, Queue
from dlmon.rejects.rejection import Rejection, from_delivery, revalidate, to_replay
from dlmon.runtime.stop import Stop
from dlmon.sources.ledger import Ledger
from dlmon.sources.pacing import Pace
from dlmon.sources.packing import Packer
from dlmon.sources.simulation import Simulation
from dlmon.stores.base import Entry, WriteResult
from dlmon.stores.sqlite import SqliteStore
from dlmon.validation.schema import load_schema
from dlmon.validation.validator import Validator
from tests.support.events import make_body
from tests.support.messages import in_queue, wait_until

VALIDATOR = Validator(load_schema())


class CountingStore(SqliteStore):
    """Notes how many events come in one commit."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.commits: list[int] = []

    def write(self, entries: Sequence[Entry]) -> WriteResult:
        self.commits.append(len(entries))
        return super().write(entries)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.db"


@pytest.fixture
def store(path: Path) -> Iterator[CountingStore]:
    with CountingStore(path) as store:
        yield store


def stored(path: Path) -> list[bytes]:
    with closing(sqlite3.connect(path)) as connection:
        return [body.encode() for (body,) in connection.execute("SELECT body FROM events")]


def parked(broker: Broker) -> dict[str, Rejection]:
    """The rejects, by message id."""
    found = [from_delivery(one, VALIDATOR) for one in in_queue(broker, Queue.REJECTS)]
    assert len(found) == len({one.message_id for one in found})
    return {one.message_id: one for one in found}


def event_id(body: bytes) -> str:
    return str(orjson.loads(body)["event_id"])


def array(bodies: Sequence[bytes]) -> bytes:
    return b"[%b]" % b",".join(bodies)


def test_each_event_of_a_message_has_its_own_verdict(
    broker: Broker, store: CountingStore, path: Path
) -> None:
    bodies = [make_body() for _ in range(100)]
    bodies[10] = make_body(file_size="12 MB")
    bodies[50] = b'{"download_speed":  1}'
    bodies[99] = b"17"
    broker.publish(Queue.ARRIVALS, [[Message(array(bodies), "packed", {"fleet": "van"})]])
    totals = consume(broker, store, VALIDATOR, Stop(), until_empty=True).totals
    rejects = parked(broker)
    assert sorted(stored(path)) == sorted(set(bodies) - {bodies[10], bodies[50], bodies[99]})
    assert {one.body: (key, one.code) for key, one in rejects.items()} == {
        bodies[10]: (event_id(bodies[10]), "type"),
        bodies[50]: ("packed#51", "required"),
        bodies[99]: ("packed#100", "type"),
    }
    places = {(one.packed_in, one.place) for one in rejects.values()}
    assert places == {("packed", 11), ("packed", 51), ("packed", 100)}
    assert all(one.headers == {"fleet": "van"} for one in rejects.values())
    assert (totals.messages, totals.received, totals.stored) == (1, 100, 97)
    assert totals.rejected.count == 3
    wait_until(lambda: broker.depth(Queue.ARRIVALS).ready == 0)


def test_the_same_message_again_is_stored_once(
    broker: Broker, store: CountingStore, path: Path
) -> None:
    bodies = [make_body() for _ in range(30)]
    first = Message(array(bodies), "1")
    second = Message(b"\n".join(bodies), "2", content_type="application/x-ndjson")
    broker.publish(Queue.ARRIVALS, [[first, second]])
    totals = consume(broker, store, VALIDATOR, Stop(), until_empty=True).totals
    assert (totals.messages, totals.received) == (2, 60)
    assert (totals.stored, totals.duplicates) == (30, 30)
    assert sorted(stored(path)) == sorted(bodies)


def test_an_id_that_stands_twice_in_a_message_is_one_event_or_a_conflict(
    broker: Broker, store: CountingStore, path: Path
) -> None:
    one = make_body()
    other = make_body(event_id=event_id(one), file_size=1)
    broker.publish(Queue.ARRIVALS, [[Message(array([one, make_body(), one, other]), "packed")]])
    totals = consume(broker, store, VALIDATOR, Stop(), until_empty=True).totals
    (rejection,) = parked(broker).values()
    assert (totals.stored, totals.duplicates) == (2, 1)
    assert (rejection.code, rejection.body, rejection.place) == ("id-conflict", other, 4)
    assert rejection.message_id == event_id(one)


def test_one_event_and_several_come_together(
    broker: Broker, store: CountingStore, path: Path
) -> None:
    alone = [make_body() for _ in range(5)]
    packed = [make_body() for _ in range(5)]
    conflict = make_body(event_id=event_id(alone[0]), file_size=1)
    messages = [
        Message(alone[0], event_id(alone[0])),
        Message(gzip.compress(array(packed[:4])), "a", content_encoding="gzip"),
        *(Message(body, event_id(body)) for body in alone[1:]),
        Message(array([packed[4], conflict]), "b"),
    ]
    broker.publish(Queue.ARRIVALS, [messages])
    totals = consume(broker, store, VALIDATOR, Stop(), until_empty=True).totals
    assert sorted(stored(path)) == sorted([*alone, *packed])
    assert (totals.messages, totals.received) == (7, 11)
    (rejection,) = parked(broker).values()
    assert (rejection.body, rejection.packed_in, rejection.place) == (conflict, "b", 2)


def test_what_cannot_be_taken_apart_is_parked_whole_and_a_replay_can_still_be_unpacked(
    broker: Broker, store: CountingStore, path: Path
) -> None:
    bodies = [make_body() for _ in range(5)]
    packed = gzip.compress(array(bodies))
    broker.publish(
        Queue.ARRIVALS,
        [
            [
                Message(packed[:-12], "cut", content_encoding="gzip"),
                Message(gzip.compress(array(bodies)[:-1]), "torn", content_encoding="gzip"),
                Message(packed, "not declared"),
            ]
        ],
    )
    consume(broker, store, VALIDATOR, Stop(), until_empty=True)
    rejects = parked(broker)
    assert {key: (one.code, one.content_encoding) for key, one in rejects.items()} == {
        "cut": ("undecodable-body", "gzip"),
        "torn": ("not-json", "gzip"),
        "not declared": ("not-utf8", None),
    }
    assert rejects["cut"].body == packed[:-12]
    assert "looks like gzip" in rejects["not declared"].reason
    assert revalidate(rejects["torn"], VALIDATOR)[0].code == "not-json"
    mended = to_replay(rejects["cut"])._replace(body=packed)
    broker.publish(Queue.ARRIVALS, [[mended]])
    consume(broker, store, VALIDATOR, Stop(), until_empty=True)
    assert sorted(stored(path)) == sorted(bodies)


def test_what_is_held_together_has_a_bound_whatever_a_message_has_in_it(
    broker: Broker, store: CountingStore, path: Path
) -> None:
    bodies = [make_body() for _ in range(250)]
    messages = [Message(array(bodies[:230]), "large"), Message(array(bodies[230:]), "small")]
    broker.publish(Queue.ARRIVALS, [messages])
    totals = consume(broker, store, VALIDATOR, Stop(), batch=100, until_empty=True).totals
    assert store.commits == [100, 100, 50]
    assert (totals.messages, totals.received, totals.stored) == (2, 250, 250)
    assert sorted(stored(path)) == sorted(bodies)


class DiesBeforeTheSecondCommit(SqliteStore):
    commits = 0

    def write(self, entries: Sequence[Entry]) -> WriteResult:
        self.commits += 1
        if self.commits == 2:
            raise SystemExit
        return super().write(entries)


def test_a_message_that_is_stored_in_part_comes_again_and_is_stored_once(
    broker: Broker, store: CountingStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = [make_body() for _ in range(150)]
    bodies[20] = make_body(file_size=-1)
    broker.publish(Queue.ARRIVALS, [[Message(array(bodies), "packed")]])
    with DiesBeforeTheSecondCommit(path) as dying, pytest.raises(SystemExit):
        consume(broker, dying, VALIDATOR, Stop(), batch=100)
    assert len(stored(path)) == 99
    wait_until(lambda: broker.depth(Queue.ARRIVALS).ready == 1)
    totals = consume(broker, store, VALIDATOR, Stop(), batch=100, until_empty=True).totals
    assert (totals.received, totals.stored, totals.duplicates) == (150, 50, 99)
    assert sorted(stored(path)) == sorted(body for body in bodies if body != bodies[20])
    found = [from_delivery(one, VALIDATOR) for one in in_queue(broker, Queue.REJECTS)]
    assert {(one.message_id, one.place) for one in found} == {(event_id(bodies[20]), 21)}


def test_count_counts_events_and_ends_behind_the_message_with_the_last(
    broker: Broker, store: CountingStore, path: Path
) -> None:
    messages = [Message(array([make_body() for _ in range(10)]), f"{n}") for n in range(5)]
    broker.publish(Queue.ARRIVALS, [messages])
    totals = consume(broker, store, VALIDATOR, Stop(), batch=1, count=25).totals
    assert (totals.messages, totals.received) == (3, 30)
    wait_until(lambda: broker.depth(Queue.ARRIVALS).ready == 2)


def test_a_message_with_several_events_that_was_dead_lettered_can_be_replayed() -> None:
    bodies = [make_body(), b"{}"]
    delivery = Delivery(
        body=gzip.compress(array(bodies)),
        message_id="packed",
        headers={},
        content_type="application/json",
        correlation_id=None,
        exchange="",
        routing_key="",
        delivery_count=0,
        token=None,
        content_encoding="gzip",
    )
    assert revalidate(from_delivery(delivery, VALIDATOR), VALIDATOR) == ()


@pytest.mark.parametrize("encoding", [None, "gzip", "zstd"])
def test_a_producer_packs_events_and_its_ledger_is_exact(
    broker: Broker, store: CountingStore, path: Path, tmp_path: Path, encoding: str | None
) -> None:
    with Ledger(tmp_path / "ledger") as ledger:
        produced = produce(
            broker,
            Simulation(seed=5, invalid=0.3),
            Pace(0),
            Stop(),
            count=105,
            ledger=ledger,
            packer=Packer(10, encoding),
        )
    assert (produced.totals.sent, produced.totals.confirmed, produced.error) == (105, 105, None)
    totals = consume(broker, store, VALIDATOR, Stop(), until_empty=True).totals
    assert totals.received == 105
    assert totals.messages < 80
    lines = [orjson.loads(line) for line in (tmp_path / "ledger").read_bytes().splitlines()]
    planned = Counter((line["id"], line["verdict"]) for line in lines if "verdict" in line)
    assert Counter(line["id"] for line in lines if "confirmed" in line) == Counter(
        key for key, _ in planned.elements()
    )
    rejects = [from_delivery(one, VALIDATOR) for one in in_queue(broker, Queue.REJECTS)]
    found = Counter((one.message_id, one.code) for one in rejects)
    assert found == Counter({key: n for key, n in planned.items() if key[1] != "valid"})
    assert any(one.place is not None for one in rejects)
    assert len(stored(path)) == 105 - len(rejects)


def test_events_at_a_rate_are_gathered_until_a_message_is_full(broker: Broker) -> None:
    produce(broker, Simulation(seed=5), Pace(200), Stop(), count=25, packer=Packer(10))
    sizes = [one.body.count(b"\n") + 1 for one in in_queue(broker, Queue.ARRIVALS)]
    assert sorted(sizes) == [5, 10, 10]
