"""Queues that an operator has made as streams."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dlmon.brokers import open_broker
from dlmon.commands.doctor import diagnose
from dlmon.config.settings import Settings
from dlmon.errors import TopologyMismatch
from dlmon.messages import ROUTING_KEYS, Queue
from dlmon.runtime.stop import Stop
from tests.conftest import settings_for
from tests.support.amqp import raw_channel
from tests.support.dlmon import Dlmon
from tests.support.messages import make_messages, receive
from tests.support.node import PrivateNode

COMMANDS = [
    ["consume", "--until-empty"],
    ["produce", "--count", "1"],
    ["inspect-rejects"],
    ["replay-rejects", "--yes"],
    ["discard-rejects", "--all", "--yes"],
    ["status"],
    ["doctor"],
]
RETENTION = {"x-max-length-bytes": 1_000_000, "x-max-age": "1h"}


def declare(url: str, namespace: str, stream: Queue, kind: str, arguments: dict[str, Any]) -> None:
    """Both queues as an operator declares them, one of them as a stream, say."""
    with raw_channel(url) as channel:
        channel.exchange_declare(namespace, "topic", durable=True)
        for queue, key in ROUTING_KEYS.items():
            own = {"x-queue-type": kind, **arguments} if queue is stream else {}
            channel.queue_declare(f"{namespace}.{queue}", durable=True, arguments=own)
            channel.queue_bind(f"{namespace}.{queue}", namespace, key)


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_every_command_refuses_a_stream_in_words(
    rabbitmq_settings: Settings, rabbitmq_url: str, tmp_path: Path, command: list[str]
) -> None:
    stream = Queue.REJECTS if "rejects" in command[0] else Queue.ARRIVALS
    namespace = rabbitmq_settings.namespace
    declare(rabbitmq_url, namespace, stream, "stream", RETENTION)
    started = time.monotonic()
    done = Dlmon(rabbitmq_settings, tmp_path)(*command, "--no-declare")
    assert time.monotonic() - started < 90
    assert done.returncode == 3
    assert f"The queue {namespace}.{stream} is a stream" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        ({}, {"x-queue-type": "quorum", "x-single-active-consumer": True}),
        ({"durable": False}, {}),
        ({"durable": False, "auto_delete": True}, {"x-max-priority": 5}),
        ({}, {"x-queue-mode": "lazy", "x-max-length": 10, "x-single-active-consumer": False}),
    ],
    ids=str,
)
def test_what_an_operator_declared_in_another_way_is_no_stream(
    rabbitmq_settings: Settings,
    rabbitmq_url: str,
    options: dict[str, bool],
    arguments: dict[str, Any],
) -> None:
    namespace = rabbitmq_settings.namespace
    with raw_channel(rabbitmq_url) as channel:
        channel.exchange_declare(namespace, "topic", durable=True)
        for queue, key in ROUTING_KEYS.items():
            name = f"{namespace}.{queue}"
            channel.queue_declare(name, **{"durable": True, **options}, arguments=arguments)
            channel.queue_bind(name, namespace, key)
    settings = replace(rabbitmq_settings, declare=False)
    assert not [check for check in diagnose(settings, Stop()) if check.error is not None]
    with open_broker(settings) as broker:
        broker.publish(Queue.ARRIVALS, [make_messages(3)])
        with broker.open_consumer(10) as consumer:
            assert len(receive(consumer, 3)) == 3


def test_a_stream_is_not_recommended_with_no_declare(
    rabbitmq_settings: Settings, rabbitmq_url: str
) -> None:
    declare(rabbitmq_url, rabbitmq_settings.namespace, Queue.ARRIVALS, "stream", {})
    with pytest.raises(TopologyMismatch, match="current is 'stream'") as caught:
        open_broker(rabbitmq_settings)
    assert "--no-declare" not in str(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [{}, {"x-max-age": "7D"}, {"x-stream-max-segment-size-bytes": 10**6}],
    ids=str,
)
@pytest.mark.parametrize("stream", Queue)
def test_a_stream_is_told_whatever_it_was_declared_with(
    rabbitmq_settings: Settings,
    rabbitmq_url: str,
    tmp_path: Path,
    stream: Queue,
    arguments: dict[str, Any],
) -> None:
    namespace = rabbitmq_settings.namespace
    declare(rabbitmq_url, namespace, stream, "stream", arguments)
    with pytest.raises(TopologyMismatch, match=rf"{namespace}\.{stream} is a stream"):
        open_broker(settings_for(rabbitmq_url, namespace, tmp_path, declare=False))


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("classic", {}),
        ("classic", {"x-max-length": 10, "x-message-ttl": 60_000, "x-dead-letter-exchange": "x"}),
        ("quorum", {"x-delivery-limit": 3, "x-overflow": "reject-publish"}),
    ],
    ids=str,
)
def test_other_queues_are_used_and_stay_as_they_are(
    rabbitmq_settings: Settings,
    rabbitmq_url: str,
    tmp_path: Path,
    kind: str,
    arguments: dict[str, Any],
) -> None:
    namespace = rabbitmq_settings.namespace
    declare(rabbitmq_url, namespace, Queue.ARRIVALS, kind, arguments)
    with open_broker(settings_for(rabbitmq_url, namespace, tmp_path, declare=False)) as broker:
        broker.publish(Queue.ARRIVALS, [make_messages(2)])
        with broker.open_consumer(10) as consumer:
            assert len(receive(consumer, 2)) == 2
    declare(rabbitmq_url, namespace, Queue.ARRIVALS, kind, arguments)  # else it would be refused


@pytest.fixture
def consumer_alone(private_node: PrivateNode, namespace: str) -> Iterator[str]:
    """A user who may configure nothing, so that RabbitMQ does not say what a queue is."""
    private_node.add_user(namespace, "secret", "^$", ".*", ".*")
    yield private_node.url.replace("guest:guest", f"{namespace}:secret")
    private_node.ctl("delete_user", namespace)


def test_a_user_who_may_not_ask_learns_it_from_the_first_delivery(
    private_settings: Settings, private_node: PrivateNode, tmp_path: Path, consumer_alone: str
) -> None:
    namespace = private_settings.namespace
    declare(private_node.url, namespace, Queue.ARRIVALS, "stream", {})
    settings = settings_for(consumer_alone, namespace, tmp_path, declare=False)
    with open_broker(settings, Stop()) as broker, broker.open_consumer(10) as consumer:
        assert consumer.receive(10, 0.5) == []
        broker.publish(Queue.ARRIVALS, [make_messages(3)])
        with pytest.raises(TopologyMismatch, match="is a stream"):
            receive(consumer, 3)
