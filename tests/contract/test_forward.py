"""Messages that are moved from one broker to another, with either broker at either end."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from dlmon.brokers import open_broker
from dlmon.brokers.base import Broker, Confirmed
from dlmon.brokers.local import LocalBroker
from dlmon.commands.forward import forward
from dlmon.commands.produce import ProduceResult
from dlmon.config.names import Names
from dlmon.config.settings import Settings
from dlmon.errors import Interrupted, UnpublishableMessages
from dlmon.messages import PUBLISHED_AT, Message, Queue
from dlmon.rejects.rejection import from_delivery
from dlmon.runtime.stop import Stop
from dlmon.sources.pacing import Pace
from dlmon.sources.packing import Packer
from dlmon.validation.schema import load_schema
from dlmon.validation.validator import Validator
from tests.conftest import settings_for
from tests.support.dlmon import Dlmon, url_of
from tests.support.events import make_body
from tests.support.messages import ids, in_queue, make_messages, wait_until

FULL = Message(
    b" not even JSON \xff",
    "an id of its own",
    {"agent": "fleet-7", "attempt": 3, PUBLISHED_AT: 1_772_366_400_000, "dlmon-replays": 2},
    content_type="text/plain",
    correlation_id="batch 12",
    content_encoding="identity",
    type="download",
    app_id="agent",
)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[LocalBroker]:
    with LocalBroker(tmp_path / "other.db", Names()) as broker:
        yield broker


def move(source: Broker, target: Broker, packer: Packer | None = None) -> ProduceResult:
    result = forward(source, target, Pace(0), Stop(), packer=packer, until_empty=True)
    assert result.error is None
    return result


def sent(messages: Sequence[Message], broker: Broker) -> None:
    broker.publish(Queue.ARRIVALS, [messages])


@pytest.mark.parametrize("towards", ["this", "other"])
def test_a_message_arrives_with_all_that_it_had(
    broker: Broker, other: LocalBroker, towards: str
) -> None:
    source, target = (other, broker) if towards == "this" else (broker, other)
    plain = make_messages(2_500)
    sent([*plain, FULL], source)
    result = move(source, target)
    assert (result.totals.sent, result.totals.confirmed) == (2_501, 2_501)
    found = {one.message_id: one for one in in_queue(target, Queue.ARRIVALS)}
    assert found.keys() == {one.message_id for one in (*plain, FULL)}
    full = found[FULL.message_id]
    assert Message(*(getattr(full, name) for name in Message._fields)) == FULL
    assert in_queue(source, Queue.ARRIVALS) == []


def test_events_are_packed_and_what_is_more_than_its_event_goes_alone(
    broker: Broker, other: LocalBroker
) -> None:
    events = [
        Message(make_body(event_id=f"event-{number}"), f"event-{number}", {PUBLISHED_AT: 1000})
        for number in range(250)
    ]
    with_header = events[0]._replace(message_id="with a header", headers={"agent": "7"})
    packed = Message(b"{}\n{}", "packed before", content_type="application/x-ndjson")
    sent([*events, with_header, packed, FULL], other)
    result = move(other, broker, Packer(100, "gzip"))
    assert result.totals.confirmed == 253
    found = in_queue(broker, Queue.ARRIVALS)
    alone = {one.message_id for one in found if one.content_encoding != "gzip"}
    assert alone == {"with a header", "packed before", FULL.message_id}
    together = [one for one in found if one.content_encoding == "gzip"]
    assert len(together) == 3
    assert {one.headers[PUBLISHED_AT] for one in together} == {1000}
    lines = b"\n".join(zlib.decompress(one.body, 31) for one in together).split(b"\n")
    assert sorted(lines) == sorted(event.body for event in events)


def test_it_ends_after_so_many_messages_and_leaves_the_others(
    broker: Broker, other: LocalBroker
) -> None:
    messages = make_messages(30)
    sent(messages, broker)
    result = forward(broker, other, Pace(0), Stop(), count=20)
    assert (result.error, result.totals.confirmed) == (None, 20)
    wait_until(lambda: len(in_queue(broker, Queue.ARRIVALS)) == 10)
    both = [*in_queue(broker, Queue.ARRIVALS), *in_queue(other, Queue.ARRIVALS)]
    assert ids(both) == ids(messages)


def test_a_stop_leaves_what_was_not_due_at_the_source(broker: Broker, other: LocalBroker) -> None:
    messages = make_messages(300)
    sent(messages, broker)
    stop = Stop()
    results: list[ProduceResult] = []
    thread = threading.Thread(target=lambda: results.append(forward(broker, other, Pace(20), stop)))
    thread.start()
    wait_until(lambda: other.depth(Queue.ARRIVALS).ready >= 3)
    stop.request()
    thread.join()
    [result] = results
    assert result.error is None
    moved = in_queue(other, Queue.ARRIVALS)
    assert len(moved) == result.totals.confirmed < 300
    wait_until(lambda: len(in_queue(broker, Queue.ARRIVALS)) == 300 - len(moved))
    assert ids([*moved, *in_queue(broker, Queue.ARRIVALS)]) == ids(messages)


class Picky(LocalBroker):
    """Can never take bodies with a 13, as RabbitMQ cannot take what is larger than it allows."""

    def publish(
        self,
        queue: Queue,
        batches: Iterable[Sequence[Message]],
        *,
        confirmed: Confirmed | None = None,
        **options: Any,
    ) -> int:
        messages = [message for batch in batches for message in batch]
        bad = [message for message in messages if b"13" in message.body]
        good = [message for message in messages if b"13" not in message.body]
        count = super().publish(queue, [good], confirmed=confirmed, **options)
        if bad:
            raise UnpublishableMessages("larger than allowed", bad)
        return count


def test_what_the_target_can_never_take_is_in_the_rejects_of_the_source(
    broker: Broker, tmp_path: Path
) -> None:
    messages = make_messages(20)
    sent([*messages, FULL], broker)
    with Picky(tmp_path / "picky.db", Names()) as target:
        result = forward(broker, target, Pace(0), Stop(), until_empty=True, name="van")
        assert (result.error, result.totals.sent, result.totals.confirmed) == (None, 20, 20)
        assert len(in_queue(target, Queue.ARRIVALS)) == 20
    [delivery] = in_queue(broker, Queue.REJECTS)
    rejection = from_delivery(delivery, Validator(load_schema()))
    assert (rejection.message_id, rejection.body) == ("message-000013", b'{"number": 13}')
    assert rejection.code == "undeliverable"
    assert rejection.reason == "not forwarded: larger than allowed"
    assert rejection.rejected_by == "van"
    assert in_queue(broker, Queue.ARRIVALS) == []


class Silent(LocalBroker):
    """Confirms nothing until it is stopped."""

    def publish(self, queue: Queue, batches: Iterable[Sequence[Message]], **options: Any) -> int:
        assert queue is Queue.ARRIVALS
        next(iter(batches))
        stop: Stop = options["stop"]
        stop.wait(60)
        raise Interrupted("Stopped.")


def test_what_is_not_confirmed_at_a_stop_stays_at_the_source(
    broker: Broker, tmp_path: Path
) -> None:
    messages = make_messages(7)
    sent(messages, broker)
    stop = Stop()
    with Silent(tmp_path / "silent.db", Names()) as target:
        threading.Timer(0.3, stop.request).start()
        result = forward(broker, target, Pace(0), stop)
    assert str(result.error) == (
        "7 messages were sent and not confirmed: they are still at the source. Stopped."
    )
    wait_until(lambda: len(in_queue(broker, Queue.ARRIVALS)) == 7)


def test_the_command_moves_and_says_what_it_did(settings: Settings, tmp_path: Path) -> None:
    dlmon = Dlmon(settings, tmp_path)
    with open_broker(settings) as broker:
        sent(make_messages(40), broker)
    there = ("--from", url_of(settings), "--until-empty")
    done = dlmon("forward", *there, "--to", "sqlite:///center.db", "--compress", "zstd")
    assert done.returncode == 0
    assert "40 sent, 40 confirmed" in done.stderr
    back = dlmon("forward", "--from", "sqlite:///center.db", "--until-empty", "--count", "30")
    assert "30 sent, 30 confirmed" in back.stderr, back.stderr
    with open_broker(settings) as broker:
        assert len(in_queue(broker, Queue.ARRIVALS)) == 30


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--from", "sqlite:///a.db", "--to", "sqlite:///./a.db"], "--from and --to are the same"),
        (["--from", "https://somewhere"], "--from: broker: expected amqp://HOST/"),
        (["--from", "local", "--compress", "zip"], "--compress: expected gzip or zstd"),
    ],
)
def test_what_cannot_be_forwarded_says_why(
    tmp_path: Path, arguments: list[str], error: str
) -> None:
    dlmon = Dlmon(settings_for(f"sqlite:///{tmp_path}/broker.db", "dlmon", tmp_path), tmp_path)
    done = dlmon("forward", *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(f"dlmon: {error}")
