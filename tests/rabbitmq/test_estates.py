"""Queues, exchanges and producers that were there before dlmon."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pika
import pytest

from dlmon.brokers import open_broker
from dlmon.commands.doctor import diagnose
from dlmon.config.settings import Settings
from dlmon.errors import TopologyMismatch, UsageError
from dlmon.messages import Message, Queue
from dlmon.runtime.stop import Stop
from tests.conftest import settings_for
from tests.support.amqp import raw_channel
from tests.support.dlmon import Dlmon
from tests.support.events import make_body
from tests.support.messages import in_queue, receive, wait_until

SCHEMA = {
    "type": "object",
    "required": ["timestamp", "coordinates", "file_size", "download_speed"],
    "properties": {
        "timestamp": {"type": "string", "format": "date-time"},
        "coordinates": {"type": "object", "required": ["latitude", "longitude"]},
        "file_size": {"type": "integer", "minimum": 0},
        "download_speed": {"type": "number", "minimum": 0},
    },
}


def tutorial_event(**changes: Any) -> bytes:
    """What the usual producer of a tutorial publishes."""
    return orjson.dumps(
        {
            "timestamp": "2024-11-20T10:00:00.123456",
            "coordinates": {"latitude": 53.35, "longitude": -6.26},
            "file_size": 1_725_024,
            "download_speed": 35.6,
            **changes,
        }
    )


@pytest.fixture
def queues(rabbitmq_url: str, namespace: str) -> Iterator[tuple[str, str]]:
    """Names for arrivals and rejects that do not come from the namespace."""
    names = (f"{namespace}-arrivals", f"{namespace}-rejects")
    yield names
    with raw_channel(rabbitmq_url) as channel:
        for name in names:
            channel.queue_delete(name)


@pytest.fixture
def settings(rabbitmq_url: str, queues: tuple[str, str], tmp_path: Path) -> Settings:
    """The default exchange, and queues that somebody else declares."""
    arrivals, rejects = queues
    return settings_for(
        rabbitmq_url,
        "estate",
        tmp_path,
        exchange="",
        arrivals=arrivals,
        rejects=rejects,
        declare="false",
    )


def publish(url: str, queue: str, *bodies: bytes) -> None:
    """As a producer of a tutorial does: nothing but the body, to the default exchange."""
    with raw_channel(url) as channel:
        for body in bodies:
            channel.basic_publish("", queue, body)


@pytest.mark.parametrize("durable", [False, True], ids=["transient", "durable"])
def test_the_system_of_a_tutorial_is_consumed_as_it_is(
    rabbitmq_url: str, queues: tuple[str, str], tmp_path: Path, settings: Settings, durable: bool
) -> None:
    with raw_channel(rabbitmq_url) as channel:
        for name in queues:
            channel.queue_declare(name, durable=durable)
    (tmp_path / "schema.json").write_bytes(orjson.dumps(SCHEMA))
    good, bad = tutorial_event(), tutorial_event(download_speed="fast")
    publish(rabbitmq_url, queues[0], good, bad, good)  # one of them twice, as after a redelivery
    arrivals, rejects = queues
    dlmon = Dlmon(
        settings,
        tmp_path,
        DLMON_EXCHANGE="amq.default",
        DLMON_ARRIVALS=arrivals,
        DLMON_REJECTS=rejects,
        DLMON_DECLARE="no",
        DLMON_SCHEMA="schema.json",
        DLMON_ASSUME_OFFSET="+00:00",
    )
    dlmon.in_this_process("consume", "--store", "sqlite:///events.db", "--until-empty")
    with closing(sqlite3.connect(tmp_path / "events.db")) as database:
        [(event_id, timestamp, body)] = database.execute(
            "SELECT event_id, timestamp, body FROM events"
        )
    assert body.encode() == good
    assert event_id[14] == "5"  # the version of the UUID
    assert timestamp.startswith("2024-11-20T10:00:00.123456")
    shown = dlmon.in_this_process("inspect-rejects", "--json")
    [reject] = map(orjson.loads, shown.splitlines())
    assert (reject["code"], reject["path"]) == ("type", "/download_speed")
    status = orjson.loads(dlmon.in_this_process("status", "--json"))
    assert [status[queue]["queue"] for queue in Queue] == [arrivals, rejects]
    assert status["rejects"]["ready"] == 1
    (tmp_path / "events.ndjson").write_bytes(good + b"\n")
    dlmon.in_this_process("validate-file", "events.ndjson")
    # A reject is mended and stored, by the same names.
    dlmon.in_this_process("replay-rejects", "--yes", "--patch", ".download_speed = 1")
    dlmon.in_this_process("consume", "--store", "sqlite:///events.db", "--until-empty")
    with closing(sqlite3.connect(tmp_path / "events.db")) as database:
        assert database.execute("SELECT count(*) FROM events").fetchone() == (2,)


@pytest.mark.parametrize("kind", ["classic", "quorum"])
def test_a_queue_that_somebody_else_made_is_used_beside_dlmons_own(
    rabbitmq_url: str,
    queues: tuple[str, str],
    rabbitmq_settings: Settings,
    tmp_path: Path,
    kind: str,
) -> None:
    with open_broker(rabbitmq_settings):
        pass  # makes the rejects queue
    with raw_channel(rabbitmq_url) as channel:
        channel.queue_declare(queues[0], durable=True, arguments={"x-queue-type": kind})
    publish(rabbitmq_url, queues[0], b"not json")
    dlmon = Dlmon(rabbitmq_settings, tmp_path)
    dlmon.in_this_process(
        "consume",
        "--arrivals",
        queues[0],
        "--no-declare",
        "--store",
        "sqlite:///e.db",
        "--until-empty",
    )
    with open_broker(rabbitmq_settings) as broker:
        assert [one.body for one in in_queue(broker, Queue.REJECTS)] == [b"not json"]


def test_a_stream_is_refused_in_words(
    rabbitmq_url: str, queues: tuple[str, str], settings: Settings
) -> None:
    with raw_channel(rabbitmq_url) as channel:
        channel.queue_declare(queues[0], durable=True, arguments={"x-queue-type": "stream"})
        channel.queue_declare(queues[1], durable=True)
    with pytest.raises(TopologyMismatch, match=f"{queues[0]} is a stream, which keeps no record"):
        open_broker(settings)


def test_queues_are_declared_on_the_default_exchange(
    rabbitmq_url: str, queues: tuple[str, str], tmp_path: Path
) -> None:
    arrivals, rejects = queues
    settings = settings_for(
        rabbitmq_url, "estate", tmp_path, exchange="", arrivals=arrivals, rejects=rejects
    )
    with open_broker(settings) as broker:
        for queue in Queue:
            broker.publish(queue, [[Message(str(queue).encode(), "one")]])
            assert [one.body for one in in_queue(broker, queue)] == [str(queue).encode()]
    assert not [check for check in diagnose(settings, Stop()) if check.error is not None]


def test_doctor_says_what_a_queue_is_and_names_what_is_missing(
    rabbitmq_url: str, queues: tuple[str, str], settings: Settings
) -> None:
    missing = [check.text for check in diagnose(settings, Stop()) if check.error is not None]
    assert any("--arrivals and --rejects" in text for text in missing)
    with raw_channel(rabbitmq_url) as channel:
        channel.queue_declare(queues[0])
        channel.queue_declare(queues[1], durable=True, arguments={"x-queue-type": "classic"})
    checks = {check.name: check.text for check in diagnose(settings, Stop())}
    assert checks["exchange"] == "the default one, which routes by the names of queues"
    for name in queues:
        assert checks[f"type, limits and dead-lettering of {name}"].startswith("a classic queue")
        assert f"queue {name}" in checks


def test_a_redelivery_of_a_classic_queue_is_known_as_one(
    rabbitmq_url: str, queues: tuple[str, str], settings: Settings
) -> None:
    with raw_channel(rabbitmq_url) as channel:
        for name in queues:
            channel.queue_declare(name)
    publish(rabbitmq_url, queues[0], b"1")
    with raw_channel(rabbitmq_url) as channel:
        method, _, _ = channel.basic_get(queues[0])
        channel.basic_nack(method.delivery_tag)
    with open_broker(settings) as broker:
        assert [one.delivery_count for one in in_queue(broker, Queue.ARRIVALS)] == [1]


def test_several_queues_are_consumed_at_once(
    rabbitmq_url: str, queues: tuple[str, str], settings: Settings, tmp_path: Path
) -> None:
    other = f"{queues[0]}-2"
    both = replace(settings, arrivals=(queues[0], other))
    with raw_channel(rabbitmq_url) as channel:
        for name in (*both.arrivals, queues[1]):
            channel.queue_declare(name)
    try:
        for name in both.arrivals:
            publish(rabbitmq_url, name, *(make_body() for _ in range(150)))
        dlmon = Dlmon(
            both,
            tmp_path,
            DLMON_EXCHANGE="amq.default",
            DLMON_ARRIVALS=",".join(both.arrivals),
            DLMON_REJECTS=queues[1],
            DLMON_DECLARE="no",
        )
        status = orjson.loads(dlmon.in_this_process("status", "--json"))["arrivals"]
        assert status["ready"] == 300
        assert {name: one["ready"] for name, one in status["queues"].items()} == dict.fromkeys(
            both.arrivals, 150
        )
        assert f"{other}: 150 ready" in dlmon.in_this_process("status")
        with open_broker(both) as broker, broker.open_consumer(20) as consumer:
            first = receive(consumer, 20)
            assert {one.routing_key for one in first} == {*both.arrivals}
            with pytest.raises(UsageError, match="from one queue"):
                broker.open_consumer(20, count=5)
        store = ("--store", "sqlite:///several.db")
        dlmon.in_this_process("consume", *store, "--batch", "50", "--until-empty")
        with closing(sqlite3.connect(tmp_path / "several.db")) as database:
            assert database.execute("SELECT count(*) FROM events").fetchone() == (300,)
        with open_broker(both) as broker:
            assert broker.depth(Queue.ARRIVALS).ready == 0
    finally:
        with raw_channel(rabbitmq_url) as channel:
            channel.queue_delete(other)


@pytest.mark.parametrize("limit", [(), ("--count", "5")], ids=str)
def test_several_workers_take_from_several_queues(
    rabbitmq_url: str,
    queues: tuple[str, str],
    settings: Settings,
    tmp_path: Path,
    limit: tuple[str, ...],
) -> None:
    others = [f"{queues[0]}-{number}" for number in (2, 3)]
    arrivals = (queues[0], *others)
    events = [(name, str(uuid.uuid4())) for name in arrivals for _ in range(100)]
    dlmon = Dlmon(
        settings,
        tmp_path,
        DLMON_EXCHANGE="amq.default",
        DLMON_ARRIVALS=",".join(arrivals),
        DLMON_REJECTS=queues[1],
        DLMON_DECLARE="no",
        DLMON_STORE="sqlite:///workers.db",
    )
    with raw_channel(rabbitmq_url) as channel:
        for name in (*arrivals, queues[1]):
            channel.queue_declare(name)
        try:
            for name, event_id in events:
                channel.basic_publish("", name, make_body(event_id=event_id))
            channel.basic_publish("", others[0], b"not json")
            done = dlmon("consume", "--workers", "2", "--until-empty", *limit)
            if limit:
                assert done.returncode == 2, done.stderr
                assert "--count takes from one queue" in done.stderr
                assert "Traceback" not in done.stderr
                return
            assert done.returncode == 0, done.stderr
            assert "301 received: 300 stored, 0 duplicates, 1 rejected" in done.stderr
            with closing(sqlite3.connect(tmp_path / "workers.db")) as database:
                found = {
                    event_id for (event_id,) in database.execute("SELECT event_id FROM events")
                }
            assert found == {event_id for _, event_id in events}
            for name in arrivals:
                assert channel.queue_declare(name, passive=True).method.message_count == 0
        finally:
            for name in others:
                channel.queue_delete(name)


def test_dead_letters_of_others_are_looked_at_and_left(
    rabbitmq_url: str, queues: tuple[str, str], tmp_path: Path, rabbitmq_settings: Settings
) -> None:
    orders, dead = queues
    with raw_channel(rabbitmq_url) as channel:
        channel.queue_declare(dead, durable=True, arguments={"x-queue-type": "quorum"})
        to_dead = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead}
        channel.queue_declare(orders, arguments=to_dead)
        for _ in range(2):
            channel.basic_publish("", orders, b"an order")
        for _ in range(2):
            method = wait_for_message(channel, orders)
            channel.basic_reject(method.delivery_tag, requeue=False)
        channel.basic_publish("", orders, b"late", pika.BasicProperties(expiration="1"))
        channel.basic_publish("", dead, b"by hand")
        wait_until(lambda: channel.queue_declare(dead, passive=True).method.message_count == 4)
    dlmon = Dlmon(rabbitmq_settings, tmp_path)
    look = ("inspect-rejects", "--queue", dead)
    shown = dlmon.in_this_process(*look)
    assert f"4 rejects in {dead}, all looked at." in shown
    assert f"dead-lettered from {orders} once: rejected" in shown
    assert "--revalidate" not in shown
    exported = dlmon.in_this_process(*look, "--json", "--export", "dead.ndjson")
    records = [orjson.loads(line) for line in exported.splitlines()]
    assert sorted((one["code"], one["origin"], one["body"]) for one in records) == [
        ("expired", orders, "late"),
        ("foreign", dead, "by hand"),
        ("rejected", orders, "an order"),
        ("rejected", orders, "an order"),
    ]
    assert (tmp_path / "dead.ndjson").read_text() == exported
    one = dlmon.in_this_process(*look, "--json", "--code", "expired", "--since", "1h")
    assert orjson.loads(one)["body"] == "late"
    with raw_channel(rabbitmq_url) as channel:
        assert channel.queue_declare(dead, passive=True).method.message_count == 4
    for refused in (
        ["inspect-rejects", "--queue", dead, "--revalidate"],
        ["replay-rejects", "--queue", dead, "--yes"],
        ["discard-rejects", "--queue", dead, "--all", "--yes"],
    ):
        with pytest.raises(UsageError, match="--queue"):
            dlmon.in_this_process(*refused)


def wait_for_message(channel: Any, queue: str) -> Any:
    """The next message of a queue, unacknowledged."""
    found: list[Any] = []

    def get() -> bool:
        method, _, _ = channel.basic_get(queue)
        found.extend([method] if method else [])
        return bool(found)

    wait_until(get)
    return found[0]
