"""What looking at a queue promises, over both brokers: it never costs a message."""

from __future__ import annotations

from dlmon.brokers import open_broker
from dlmon.brokers.base import Broker
from dlmon.config.settings import Settings
from dlmon.messages import Queue
from tests.support.hold import holder
from tests.support.messages import ids, in_queue, make_messages, wait_until


def test_looking_thirty_times_changes_nothing(broker: Broker) -> None:
    broker.publish(Queue.REJECTS, [make_messages(3)])
    for _ in range(30):
        seen = in_queue(broker, Queue.REJECTS)
        assert ids(seen) == ids(make_messages(3))
    assert sorted(delivery.body for delivery in seen) == [m.body for m in make_messages(3)]
    assert [delivery.dead_letter for delivery in seen] == [None, None, None]


def test_some_are_removed_and_the_rest_is_given_back(broker: Broker) -> None:
    broker.publish(Queue.REJECTS, [make_messages(10)])
    with broker.open_reader(Queue.REJECTS) as reader:
        deliveries = reader.read(10)
        reader.acknowledge(deliveries[2:5])
    assert ids(in_queue(broker, Queue.REJECTS)) == ids(deliveries[:2] + deliveries[5:])


def test_what_one_reader_holds_another_does_not_see(settings: Settings, broker: Broker) -> None:
    broker.publish(Queue.REJECTS, [make_messages(10)])
    with open_broker(settings) as other, broker.open_reader(Queue.REJECTS, limit=6) as reader:
        held = reader.read(6)
        seen = in_queue(other, Queue.REJECTS)
    assert len(held) == 6
    assert ids([*held, *seen]) == ids(make_messages(10))
    assert ids(in_queue(broker, Queue.REJECTS)) == ids(make_messages(10))


def test_what_a_reader_of_arrivals_holds_no_consumer_gets(broker: Broker) -> None:
    broker.publish(Queue.ARRIVALS, [make_messages(10)])
    with broker.open_reader(Queue.ARRIVALS) as reader:
        assert len(reader.read(10)) == 10
        with broker.open_consumer(10) as consumer:
            assert consumer.receive(10, 0.3) == []


def test_reading_goes_on_where_it_was_and_ends(broker: Broker) -> None:
    broker.publish(Queue.REJECTS, [make_messages(2_500)])
    with broker.open_reader(Queue.REJECTS) as reader:
        pieces = [reader.read(1_000) for _ in range(4)]
    assert [len(piece) for piece in pieces] == [1_000, 1_000, 500, 0]
    assert ids([delivery for piece in pieces for delivery in piece]) == ids(make_messages(2_500))


def test_a_reader_holds_no_more_than_its_limit(broker: Broker) -> None:
    broker.publish(Queue.REJECTS, [make_messages(10)])
    with broker.open_reader(Queue.REJECTS, limit=3) as reader:
        assert len(reader.read(2)) == 2
        assert len(reader.read(2)) == 1
        assert reader.read(2) == []
        wait_until(lambda: broker.depth(Queue.REJECTS).ready == 7)


def test_an_empty_queue_is_seen_as_such(broker: Broker) -> None:
    assert in_queue(broker, Queue.REJECTS) == []


def test_what_a_killed_reader_held_can_be_seen_again(settings: Settings, broker: Broker) -> None:
    broker.publish(Queue.REJECTS, [make_messages(3)])
    with holder(settings, Queue.REJECTS, 3) as process:
        assert in_queue(broker, Queue.REJECTS) == []
        process.kill()
    wait_until(lambda: broker.depth(Queue.REJECTS).ready == 3)
    assert ids(in_queue(broker, Queue.REJECTS)) == ids(make_messages(3))
