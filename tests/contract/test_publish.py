"""What publishing promises, over both brokers."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import hypothesis
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from dlmon.brokers import open_broker
from dlmon.brokers.base import Broker, Consumer
from dlmon.config.settings import Settings
from dlmon.messages import Delivery, HeaderValue, Message, Queue
from tests.support.messages import ids, in_queue, make_messages, receive

# AMQP carries names, ids and types as short strings: 255 bytes, so that 60 characters always fit.
short_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
header_values: st.SearchStrategy[HeaderValue] = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.integers(-(2**63), 2**63 - 1),
    st.booleans(),
)
messages = st.builds(
    Message,
    body=st.binary(max_size=1000),
    message_id=short_texts,
    headers=st.dictionaries(short_texts.map("dlmon-{}".format), header_values, max_size=5),
    content_type=short_texts | st.none(),
    correlation_id=short_texts | st.none(),
    content_encoding=short_texts | st.none(),
    type=short_texts | st.none(),
    app_id=short_texts | st.none(),
)


@pytest.fixture
def consumer(broker: Broker) -> Iterator[Consumer]:
    with broker.open_consumer(1_000) as consumer:
        yield consumer


@given(message=messages)
@hypothesis.settings(
    max_examples=50,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_message_arrives_as_it_was_published(
    broker: Broker, consumer: Consumer, message: Message
) -> None:
    broker.publish(Queue.ARRIVALS, [[message]])
    [delivery] = receive(consumer, 1)
    consumer.acknowledge([delivery])
    assert (delivery.body, delivery.message_id) == (message.body, message.message_id)
    assert delivery.headers == message.headers
    assert {name: type(value) for name, value in delivery.headers.items()} == {
        name: type(value) for name, value in message.headers.items()
    }
    assert delivery.content_type == message.content_type
    assert delivery.correlation_id == message.correlation_id
    assert delivery.content_encoding == message.content_encoding
    assert (delivery.type, delivery.app_id) == (message.type, message.app_id)
    assert delivery.delivery_count == 0
    assert delivery.dead_letter is None
    assert delivery.undecodable_headers is None


@pytest.mark.parametrize("size", [0, 1, 64 * 1024, 1024 * 1024])
def test_a_body_of_any_size_arrives_byte_for_byte(
    broker: Broker, consumer: Consumer, size: int
) -> None:
    body = bytes(number % 256 for number in range(size))
    broker.publish(Queue.ARRIVALS, [[Message(body, "sized")]])
    [delivery] = receive(consumer, 1)
    assert delivery.body == body


@pytest.mark.parametrize(
    ("queue", "routing_key"),
    [(Queue.ARRIVALS, "download.completed"), (Queue.REJECTS, "download.rejected")],
)
def test_a_delivery_says_how_it_was_published(
    broker: Broker, namespace: str, queue: Queue, routing_key: str
) -> None:
    broker.publish(queue, [make_messages(1)])
    [delivery] = in_queue(broker, queue)
    assert (delivery.exchange, delivery.routing_key) == (namespace, routing_key)


def test_the_two_queues_are_apart(broker: Broker) -> None:
    arriving, rejected = make_messages(2)
    broker.publish(Queue.ARRIVALS, [[arriving]])
    broker.publish(Queue.REJECTS, [[rejected]])
    assert ids(in_queue(broker, Queue.ARRIVALS)) == ids([arriving])
    assert ids(in_queue(broker, Queue.REJECTS)) == ids([rejected])


def test_a_batch_is_out_before_the_next_one_is_asked_for(
    settings: Settings, broker: Broker
) -> None:
    first, second = make_messages(2)
    seen: list[Delivery] = []
    with open_broker(settings) as other, other.open_consumer(10) as consumer:

        def slow() -> Iterator[list[Message]]:
            yield [first]
            seen.extend(receive(consumer, 1))
            yield [second]

        assert broker.publish(Queue.ARRIVALS, slow()) == 2
        assert ids(seen) == ids([first])
        assert ids(receive(consumer, 1)) == ids([second])


def test_confirmed_is_called_once_with_each_message_in_the_thread_that_publishes(
    broker: Broker,
) -> None:
    published = make_messages(5_000)
    batches = [published[:1], [], published[1:8], *([m] for m in published[8:1_000])]
    seen: list[Message] = []
    threads: set[int] = set()

    def confirmed(messages: Sequence[Message]) -> None:
        seen.extend(messages)
        threads.add(threading.get_ident())

    count = broker.publish(Queue.ARRIVALS, [*batches, published[1_000:]], confirmed=confirmed)
    assert count == 5_000
    assert sorted(seen, key=lambda message: message.message_id) == published
    assert threads == {threading.get_ident()}


def test_what_is_confirmed_is_there_for_others(settings: Settings, broker: Broker) -> None:
    depths: list[int] = []
    with open_broker(settings) as other:
        broker.publish(
            Queue.ARRIVALS,
            [make_messages(10)],
            confirmed=lambda _: depths.append(other.depth(Queue.ARRIVALS).ready),
        )
    assert depths[-1] == 10


def test_publishing_nothing_is_done_at_once(broker: Broker) -> None:
    assert broker.publish(Queue.ARRIVALS, []) == 0
    assert broker.publish(Queue.ARRIVALS, [[], []]) == 0


def test_what_the_iterable_raises_comes_through_and_what_it_yielded_is_published(
    broker: Broker,
) -> None:
    def broken() -> Iterator[list[Message]]:
        yield make_messages(3)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broker.publish(Queue.ARRIVALS, broken())
    with broker.open_consumer(10) as consumer:
        assert ids(receive(consumer, 3)) == ids(make_messages(3))


def test_several_threads_publish_at_once(broker: Broker) -> None:
    published = make_messages(4_000)
    parts = [published[start::4] for start in range(4)]
    threads = [
        threading.Thread(target=broker.publish, args=(Queue.ARRIVALS, [part[:500], part[500:]]))
        for part in parts
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with broker.open_consumer(5_000) as consumer:
        assert ids(receive(consumer, 4_000)) == ids(published)
