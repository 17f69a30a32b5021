"""Arrivals that are a stream: events are published to it and kept."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pika
import pytest

from dlmon import Publisher
from dlmon.brokers import open_broker
from dlmon.brokers.base import Depth
from dlmon.brokers.counts import count_vanished
from dlmon.commands.doctor import diagnose
from dlmon.config.settings import Settings
from dlmon.errors import SettingsError
from dlmon.messages import Queue
from dlmon.runtime.stop import Stop
from tests.conftest import settings_for
from tests.support.amqp import raw_channel, stream_ids
from tests.support.dlmon import Dlmon, url_of
from tests.support.events import make_event
from tests.support.messages import ids, make_messages, wait_until

STREAM = ("--arrivals-type", "stream")


@pytest.fixture
def stream_settings(rabbitmq_settings: Settings, tmp_path: Path) -> Settings:
    return settings_for(
        url_of(rabbitmq_settings), rabbitmq_settings.namespace, tmp_path, arrivals_type="stream"
    )


def kept(settings: Settings, wanted: Collection[str]) -> list[str]:
    """The message ids of a stream, as another client reads them."""
    return stream_ids(url_of(settings), settings.names.queue(Queue.ARRIVALS), wanted)


def test_what_is_published_is_kept_and_read_again_and_again(stream_settings: Settings) -> None:
    messages = make_messages(300)
    confirmed: list[Any] = []
    with open_broker(stream_settings) as broker:
        assert broker.publish(Queue.ARRIVALS, [messages], confirmed=confirmed.extend) == 300
        wait_until(lambda: broker.depth(Queue.ARRIVALS).ready == 300)
        assert broker.depth(Queue.ARRIVALS).is_stream
        assert not broker.depth(Queue.REJECTS).is_stream
    assert ids(confirmed) == ids(messages)
    for _ in range(2):
        assert sorted(kept(stream_settings, ids(messages))) == ids(messages)


def test_it_is_declared_with_what_is_configured(
    rabbitmq_settings: Settings, tmp_path: Path
) -> None:
    dlmon = Dlmon(rabbitmq_settings, tmp_path, DLMON_ARRIVALS_TYPE="stream", DLMON_RETAIN="36h")
    dlmon.in_this_process("produce", "--count", "5", "--rate", "0")
    with raw_channel(url_of(rabbitmq_settings)) as channel:
        channel.queue_declare(
            f"{rabbitmq_settings.namespace}.arrivals",
            durable=True,
            arguments={
                "x-queue-type": "stream",
                "x-max-age": "129600s",
                "x-stream-max-segment-size-bytes": 100_000_000,
            },
        )
    wait_until(lambda: "5 kept" in dlmon.in_this_process("status"))
    assert orjson.loads(dlmon.in_this_process("status", "--json"))["arrivals"]["ready"] == 5
    assert "type and retention" in dlmon.in_this_process("doctor")


def test_doctor_finds_nothing_wrong(stream_settings: Settings) -> None:
    with open_broker(stream_settings):
        pass
    checks = {check.name: check for check in diagnose(stream_settings, Stop())}
    assert [check for check in checks.values() if check.error is not None] == []
    arrivals = stream_settings.names.queue(Queue.ARRIVALS)
    assert checks[f"type and retention of {arrivals}"].text == "as it should be"


@pytest.mark.parametrize(
    ("first", "then", "advice"),
    [
        ((), STREAM, "if it is no stream, leave out --arrivals-type"),
        (STREAM, (), "publish to a stream with --arrivals-type stream"),
        (STREAM, (*STREAM, "--retain", "1d"), "else give its age by --retain"),
    ],
    ids=str,
)
def test_one_that_was_declared_in_another_way_is_explained(
    rabbitmq_settings: Settings,
    tmp_path: Path,
    first: tuple[str, ...],
    then: tuple[str, ...],
    advice: str,
) -> None:
    dlmon = Dlmon(rabbitmq_settings, tmp_path)
    produce = ("produce", "--count", "1", "--rate", "0")
    assert dlmon(*produce, *first).returncode == 0
    done = dlmon(*produce, *then)
    assert done.returncode == 3
    assert advice in done.stderr
    assert "Traceback" not in done.stderr
    assert dlmon(*produce, *first).returncode == 0


def test_consume_refuses_one_before_anything_is_declared(
    rabbitmq_settings: Settings, tmp_path: Path
) -> None:
    done = Dlmon(rabbitmq_settings, tmp_path)("consume", *STREAM, "--until-empty")
    assert done.returncode == 2
    assert "bind a queue to the exchange beside the stream" in done.stderr
    with (
        raw_channel(url_of(rabbitmq_settings)) as channel,
        pytest.raises(pika.exceptions.ChannelClosedByBroker, match="NOT_FOUND"),
    ):
        channel.queue_declare(f"{rabbitmq_settings.namespace}.arrivals", passive=True)


def test_a_queue_beside_the_stream_is_consumed_from(
    stream_settings: Settings, rabbitmq_settings: Settings, tmp_path: Path
) -> None:
    namespace = stream_settings.namespace
    beside = f"{namespace}-beside"
    dlmon = Dlmon(rabbitmq_settings, tmp_path)
    with open_broker(stream_settings), raw_channel(url_of(stream_settings)) as channel:
        channel.queue_declare(beside, durable=True, arguments={"x-queue-type": "quorum"})
        channel.queue_bind(beside, namespace, "download.completed")
        try:
            dlmon.in_this_process("produce", *STREAM, "--no-declare", "--count", "9", "--rate", "0")
            done = dlmon(
                *("consume", "--arrivals", beside, "--no-declare", "--until-empty"),
                *("--store", "sqlite:///events.db"),
            )
            assert "9 received: 9 stored" in done.stderr, done.stderr
            with closing(sqlite3.connect(tmp_path / "events.db")) as database:
                stored = {one for (one,) in database.execute("SELECT event_id FROM events")}
        finally:
            channel.queue_delete(beside)
    assert sorted(kept(stream_settings, stored)) == sorted(stored)


def test_a_program_publishes_to_one(stream_settings: Settings) -> None:
    events = [make_event() for _ in range(3)]
    url, namespace = url_of(stream_settings), stream_settings.namespace
    with Publisher(url, namespace=namespace, arrivals_type="stream") as publisher:
        for event in events:
            publisher.publish(event)
        publisher.flush()
    published = sorted(one["event_id"] for one in events)
    assert sorted(kept(stream_settings, published)) == published


def test_what_a_stream_forgets_has_not_vanished() -> None:
    assert count_vanished(Depth(500, None), Depth(200, None)) == 300
    assert count_vanished(Depth(500, None), Depth(200, None, is_stream=True)) == 0


def test_the_local_broker_has_no_streams(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no streams: leave out --arrivals-type"):
        settings_for(f"sqlite:///{tmp_path}/b.db", "dlmon", tmp_path, arrivals_type="stream")
