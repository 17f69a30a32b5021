"""Messages that the broker answers by closing the connection: refused, and their neighbours not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pika
import pytest

from dlmon.brokers import open_broker
from dlmon.brokers.base import Broker
from dlmon.brokers.rabbitmq import pika_adapter
from dlmon.config.settings import Settings
from dlmon.errors import PublishRefused, UnpublishableMessages
from dlmon.messages import Message, Queue
from tests.conftest import settings_for
from tests.support.amqp import raw_channel
from tests.support.dlmon import Dlmon
from tests.support.events import make_body
from tests.support.messages import ids, in_queue, make_messages
from tests.support.node import PrivateNode
from tests.support.proxy import Proxy

SMALL_FRAME = 8192
HEADERS = {f"header-{number:02}": "x" * 500 for number in range(30)}
MARK = b"close the connection over this one"


@pytest.fixture
def small_frames(private_node: PrivateNode) -> Iterator[None]:
    """RabbitMQ agrees to frames of 8,192 bytes, as some clouds and proxies do."""
    private_node.ctl("eval", f"application:set_env(rabbit, frame_max, {SMALL_FRAME}).")
    yield
    private_node.ctl("eval", "application:set_env(rabbit, frame_max, 131072).")


@pytest.fixture
def broker(private_settings: Settings) -> Iterator[Broker]:
    with open_broker(private_settings) as broker:
        yield broker


def with_headers(message: Message) -> Message:
    return message._replace(headers=HEADERS)


def test_headers_larger_than_a_frame_are_refused_before_they_close_the_connection(
    small_frames: None, broker: Broker
) -> None:
    first, second, *others = make_messages(500)
    published = [first, *others[:200], with_headers(second), *others[200:]]
    with pytest.raises(UnpublishableMessages, match=r"room for 8,172 \(frame_max") as caught:
        broker.publish(Queue.ARRIVALS, [published])
    assert ids(caught.value.messages) == [second.message_id]
    assert ids(in_queue(broker, Queue.ARRIVALS)) == ids([first, *others])
    assert broker.reconnects == 0


def test_a_message_that_closes_the_connection_is_refused_after_the_third_time(
    small_frames: None, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pika_adapter, "frame_bytes", lambda _: 131_072)  # which is not so
    culprit, *others = make_messages(300)
    published = [*others[:100], with_headers(culprit), *others[100:]]
    with pytest.raises(UnpublishableMessages, match="FRAME_ERROR") as caught:
        broker.publish(Queue.ARRIVALS, [published[:50], published[50:]])
    assert ids(caught.value.messages) == [culprit.message_id]
    assert set(ids(in_queue(broker, Queue.ARRIVALS))) == set(ids(others))
    assert broker.reconnects == 3
    assert broker.publish(Queue.ARRIVALS, [others]) == len(others)  # and no longer one by one


def test_a_message_that_is_too_large_is_refused_alone(
    private_node: PrivateNode, broker: Broker
) -> None:
    # RabbitMQ 3 reads the first for each channel, RabbitMQ 4 the second.
    limit = (
        "application:set_env(rabbit, max_message_size, {0}), "
        "persistent_term:put(max_message_size, {0})."
    )
    private_node.ctl("eval", limit.format(1_000))
    try:
        small = make_messages(200)
        published = [*small[:150], Message(b"x" * 2_000, "large"), *small[150:]]
        with pytest.raises(
            UnpublishableMessages, match="larger than configured max size"
        ) as caught:
            broker.publish(Queue.ARRIVALS, [published])
        assert ids(caught.value.messages) == ["large"]
        assert set(ids(in_queue(broker, Queue.ARRIVALS))) == set(ids(small))
    finally:
        private_node.ctl("eval", limit.format(128 * 1024 * 1024))


def test_one_thread_does_not_have_the_messages_of_another_refused(
    small_frames: None, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pika_adapter, "frame_bytes", lambda _: 131_072)
    culprit, *others = make_messages(601)
    refused: list[str] = []

    def publish(messages: list[Message]) -> None:
        try:
            broker.publish(Queue.ARRIVALS, [messages[at : at + 20] for at in range(0, 300, 20)])
        except PublishRefused as refusal:
            refused.extend(message.message_id for message in refusal.messages)

    parts = [[with_headers(culprit), *others[:299]], others[299:]]
    threads = [threading.Thread(target=publish, args=(part,)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    assert refused == [culprit.message_id]
    assert set(ids(in_queue(broker, Queue.ARRIVALS))) == set(ids(others[:599]))


def test_long_reasons_and_headers_are_cut_to_fit_into_a_small_frame(
    small_frames: None, private_settings: Settings, private_node: PrivateNode, tmp_path: Path
) -> None:
    namespace = private_settings.namespace
    dlmon = Dlmon(private_settings, tmp_path)
    assert dlmon("produce", "--count", "5", "--rate", "0").returncode == 0
    long = "x" * 5_000
    with raw_channel(private_node.url) as channel:
        for number in range(3):
            properties = pika.BasicProperties(
                message_id=f"long {number}",
                headers=dict(list(HEADERS.items())[:12]),
                type="t" * 255,
            )
            body = make_body(file_size=long, download_speed=long, timestamp=long)
            channel.basic_publish(namespace, "download.completed", body, properties)
    done = dlmon("consume", "--until-empty", "--store", "ndjson:stored")
    assert done.returncode == 0, done.stderr
    assert "Connecting again" not in done.stderr
    assert len((tmp_path / "stored").read_text().splitlines()) == 5
    listed = dlmon("inspect-rejects", "--list")
    assert listed.stdout.count("long ") >= 3, listed.stdout
    replayed = dlmon("replay-rejects", "--yes", "--even-invalid")
    assert replayed.returncode == 0, replayed.stderr
    assert "Connecting again" not in replayed.stderr


@contextmanager
def closing_proxy(node: PrivateNode) -> Iterator[Proxy]:
    """A proxy that answers a message with this mark as RabbitMQ answers what it cannot parse."""
    close = pika.spec.Connection.Close(502, "SYNTAX_ERROR - cannot parse", 60, 40)
    with Proxy(node.port) as proxy:
        proxy.answer(MARK, pika.frame.Method(0, close).marshal())
        yield proxy


@pytest.mark.parametrize("where", ["first", "last"])
def test_produce_goes_on_with_the_others_and_says_which_one_it_was(
    private_node: PrivateNode, private_settings: Settings, tmp_path: Path, where: str
) -> None:
    lines = [make_body() for _ in range(30)]
    lines.insert(0 if where == "first" else 30, b'{"event_id": "culprit", "text": "%b"}' % MARK)
    (tmp_path / "events").write_bytes(b"\n".join(lines))
    with closing_proxy(private_node) as proxy:
        url = proxy.url(private_node.url)
        dlmon = Dlmon(settings_for(url, private_settings.namespace, tmp_path), tmp_path)
        done = dlmon("produce", "--from", "events", "--rate", "0")
    assert done.returncode == 3, done.stderr
    assert "Cannot publish 'culprit': RabbitMQ closes the connection over it" in done.stderr
    assert done.stderr.count("Connecting again") <= 2
    with open_broker(private_settings) as broker:
        assert len(set(ids(in_queue(broker, Queue.ARRIVALS)))) == 30


def test_replay_goes_on_with_the_others_and_leaves_the_one_in_rejects(
    private_node: PrivateNode, private_settings: Settings, tmp_path: Path
) -> None:
    with open_broker(private_settings) as broker:
        culprit = Message(b'{"text": "%b"}' % MARK, "culprit")
        broker.publish(Queue.REJECTS, [[*make_messages(20), culprit]])
    with closing_proxy(private_node) as proxy:
        url = proxy.url(private_node.url)
        dlmon = Dlmon(settings_for(url, private_settings.namespace, tmp_path), tmp_path)
        done = dlmon("replay-rejects", "--yes", "--even-invalid")
    assert "Cannot publish 'culprit'" in done.stdout, done
    with open_broker(private_settings) as broker:
        assert ids(in_queue(broker, Queue.REJECTS)) == ["culprit"]
        assert set(ids(in_queue(broker, Queue.ARRIVALS))) == set(ids(make_messages(20)))
