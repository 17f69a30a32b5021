"""What others publish to RabbitMQ, and what no other broker carries: odd headers and properties.

Each one is parked or stored once with its neighbours unharmed, can be looked at, and survives being
replayed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import orjson
import pika
import pytest

from dlmon.brokers import open_broker
from dlmon.brokers.base import Broker
from dlmon.config.settings import Settings
from dlmon.config.urls import RabbitMQAddress
from dlmon.messages import Queue
from tests.support.amqp import RawProperties, nested_lists, raw_channel, text, timestamp
from tests.support.dlmon import Dlmon
from tests.support.events import make_body
from tests.support.messages import in_queue

KEY = "download.completed"
OUT_OF_RANGE = timestamp(1_772_334_000_000)
UNDECODABLE = {
    "a time in milliseconds": {b"sent-at": OUT_OF_RANGE},
    "the largest time": {b"sent-at": timestamp(2**64 - 1)},
    "2,000 nested lists": {b"deep": nested_lists(2_000)},
    "such a time in a list": {b"list": b"A" + (9).to_bytes(4) + OUT_OF_RANGE},
}


@pytest.fixture
def broker(rabbitmq_settings: Settings) -> Iterator[Broker]:
    with open_broker(rabbitmq_settings) as broker:
        yield broker


@pytest.fixture
def channel(broker: Broker, rabbitmq_url: str) -> Iterator[Any]:
    """Another client's channel, once the queues are there."""
    with raw_channel(rabbitmq_url) as channel:
        yield channel


class Arrivals:
    """What is published to arrivals, foreign messages between sound events of dlmon's own."""

    def __init__(self, channel: Any, namespace: str) -> None:
        self._channel = channel
        self._exchange = namespace
        self.sound: list[str] = []

    def publish(self, body: bytes, properties: Any, routing_key: str | bytes = KEY) -> None:
        self._publish_sound()
        self._channel.basic_publish(self._exchange, routing_key, body, properties, mandatory=True)
        self._publish_sound()

    def _publish_sound(self) -> None:
        body = make_body()
        self.sound.append(orjson.loads(body)["event_id"])
        properties = pika.BasicProperties(message_id=self.sound[-1], delivery_mode=2)
        self._channel.basic_publish(self._exchange, KEY, body, properties, mandatory=True)


@pytest.fixture
def arrivals(channel: Any, namespace: str) -> Arrivals:
    return Arrivals(channel, namespace)


def consume(dlmon: Dlmon) -> list[str]:
    """Consume until nothing is left; returns the ids of what is stored by now."""
    result = dlmon("consume", "--until-empty", "--store", "ndjson:stored")
    assert result.returncode == 0, result.stderr
    assert "Connecting again" not in result.stderr
    lines = (dlmon.folder / "stored").read_bytes().splitlines()
    return sorted(orjson.loads(line)["event_id"] for line in lines)


def rejects(dlmon: Dlmon) -> list[dict[str, Any]]:
    """What `inspect-rejects` sees."""
    result = dlmon("inspect-rejects", "--json")
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_headers_that_cannot_be_decoded_are_parked_and_harm_nobody(
    dlmon: Dlmon, arrivals: Arrivals
) -> None:
    for name, fields in UNDECODABLE.items():
        properties = RawProperties(
            {b"before": text(b"x"), **fields},
            content_type="application/json",
            message_id=name,
            correlation_id="its correlation",
        )
        arrivals.publish(make_body(), properties)
    assert consume(dlmon) == sorted(arrivals.sound)
    seen = rejects(dlmon)
    assert sorted(reject["message_id"] for reject in seen) == sorted(UNDECODABLE)
    for reject in seen:
        assert reject["code"] == "undecodable-headers"
        assert reject["correlation_id"] == "its correlation"
        assert b"before" in bytes.fromhex(reject["raw_headers"])
    shown = dlmon("inspect-rejects", "--show", "2,000 nested lists")
    assert shown.returncode == 0
    assert "undecodable-headers" in shown.stdout


def test_headers_that_cannot_be_decoded_do_not_blind_a_look_at_rejects(
    dlmon: Dlmon, channel: Any, namespace: str
) -> None:
    for fields in UNDECODABLE.values():
        properties = RawProperties(fields, message_id="odd", delivery_mode=2)
        channel.basic_publish(namespace, "download.rejected", make_body(), properties)
    seen = rejects(dlmon)
    assert [reject["code"] for reject in seen] == ["undecodable-headers"] * len(UNDECODABLE)


@pytest.fixture
def user(rabbitmq_settings: Settings) -> str:
    """The only user id that RabbitMQ lets this connection publish."""
    assert isinstance(rabbitmq_settings.broker, RabbitMQAddress)
    return rabbitmq_settings.broker.user


@pytest.fixture
def foreign(user: str) -> dict[str, dict[str, Any]]:
    """Properties that dlmon does not set, by a name for them."""
    return {
        "CC": {"headers": {"CC": ["download.completed", "download.rejected"]}},
        "BCC": {"headers": {"BCC": ["nowhere"]}},
        "expiration": {"expiration": "60000"},
        "user id": {"user_id": user},
        "priority, type and the like": {
            "priority": 9,
            "type": "t",
            "app_id": "a",
            "reply_to": "r",
            "cluster_id": "c",
            "timestamp": 2**63,
            "content_encoding": "gzip",
            "delivery_mode": 1,
        },
        "headers of brokers": {
            "headers": {
                "x-delivery-count": 19,
                "x-death": [{"queue": "q", "reason": "expired", "count": 7}],
                "x-first-death-queue": "q",
                "x-match": "all",
                "x-retry": 1,
            }
        },
        "forged headers of dlmon": {
            "headers": {
                "dlmon-code": "forged",
                "dlmon-violations": '[{"code":"forged","path":"","reason":"forged"}]',
                "dlmon-reason": ["forged"],
                "dlmon-replays": -1,
                "dlmon-published-at": 2**63 - 1,
                "dlmon-rejected-at": "soon",
                "dlmon-schema": None,
                "dlmon-raw-headers": "zz",
            }
        },
        "130 KB of headers": {"headers": {f"h{number}": "x" * 1000 for number in range(120)}},
        "a thousand headers": {"headers": {f"h{number}": number for number in range(1_000)}},
        "headers of all types": {
            "headers": {
                "table": {"a": [1, {"b": None}]},
                "none": None,
                "bytes": b"\xff",
                "big": 2**62,
            }
        },
    }


def test_foreign_properties_neither_loop_nor_vanish_nor_close_the_channel(
    dlmon: Dlmon,
    arrivals: Arrivals,
    channel: Any,
    namespace: str,
    foreign: dict[str, dict[str, Any]],
) -> None:
    bodies = {name: make_body(file_size=-1, name=name) for name in foreign}
    for name, properties in foreign.items():
        arrivals.publish(bodies[name], pika.BasicProperties(message_id=name, **properties))
    # What a foreign CC routes to rejects is the publisher's own doing, and not looked at here.
    channel.queue_purge(f"{namespace}.rejects")
    for replays in range(2):
        assert consume(dlmon) == sorted(arrivals.sound)
        seen = rejects(dlmon)
        assert sorted(reject["message_id"] for reject in seen) == sorted(foreign)
        for reject in seen:
            assert reject["body"].encode() == bodies[reject["message_id"]]
            assert (reject["code"], reject["path"]) == ("minimum", "/file_size")
            assert reject["replays"] == replays
        replayed = dlmon("replay-rejects", "--yes", "--even-invalid")
        assert replayed.returncode == 0, replayed.stderr
        assert rejects(dlmon) == []


def test_sound_events_with_foreign_properties_are_stored(
    dlmon: Dlmon, arrivals: Arrivals, foreign: dict[str, dict[str, Any]]
) -> None:
    bodies = [make_body() for _ in foreign]
    for body, properties in zip(bodies, foreign.values(), strict=True):
        arrivals.publish(body, pika.BasicProperties(**properties))
    expected = [*arrivals.sound, *(orjson.loads(body)["event_id"] for body in bodies)]
    assert consume(dlmon) == sorted(expected)


def test_nothing_that_was_parked_expires_or_is_routed_elsewhere(
    dlmon: Dlmon, arrivals: Arrivals, broker: Broker, user: str
) -> None:
    arrivals.publish(
        b"not JSON",
        pika.BasicProperties(
            expiration="3600000",
            user_id=user,
            headers={"BCC": ["download.rejected"], "cc": "x", "X-Y": 1, "kept": "yes"},
        ),
    )
    consume(dlmon)
    seen = in_queue(broker, Queue.REJECTS)
    own = [delivery for delivery in seen if "dlmon-code" in delivery.headers]
    assert len(own) == 1
    names = {name.lower() for name in own[0].headers}
    assert "kept" in names
    assert not {name for name in names if name.startswith("x-")}
    assert not names & {"cc", "bcc"}


SHORT_STRINGS: dict[str, dict[str, Any]] = {
    "message id": {"message_id": b"id \xff"},
    "content type": {"content_type": b"\xfe\xff"},
    "correlation id": {"correlation_id": b"\xc3("},
    "everything else": {
        "content_encoding": b"\xff",
        "reply_to": b"\xff",
        "type": b"\xff",
        "app_id": b"\xff",
        "cluster_id": b"\xff",
    },
    "name of a header": {"fields": {b"\xff\xfe": text(b"value"), b"X-\xff": text(b"value")}},
    "value of a header": {"fields": {b"name": text(b"\xff\xfe"), b"bytes": text(b"\0")}},
}


def test_bytes_that_are_no_text_in_properties(dlmon: Dlmon, arrivals: Arrivals) -> None:
    expected: list[str] = []
    for name, odd in SHORT_STRINGS.items():
        properties = RawProperties(**{"fields": {}, **odd})
        body = make_body()
        expected.append(orjson.loads(body)["event_id"])
        arrivals.publish(body, properties)
        arrivals.publish(name.encode(), properties)
    for _ in range(2):
        assert consume(dlmon) == sorted([*expected, *arrivals.sound])
        seen = rejects(dlmon)
        assert sorted(reject["body"] for reject in seen) == sorted(SHORT_STRINGS)
        assert dlmon("inspect-rejects", "--list").returncode == 0
        assert dlmon("replay-rejects", "--yes", "--even-invalid").returncode == 0


def test_a_routing_key_that_is_no_text(dlmon: Dlmon, arrivals: Arrivals) -> None:
    properties = pika.BasicProperties(headers={"CC": [KEY]})
    arrivals.publish(b"not JSON", properties, routing_key=b"\xff\xfe")
    assert consume(dlmon) == sorted(arrivals.sound)
    [reject] = rejects(dlmon)
    assert "\\xff\\xfe" in reject["origin"]


def test_message_ids_of_any_kind_or_none(dlmon: Dlmon, arrivals: Arrivals) -> None:
    given = [None, "", "x" * 255, "\x1b[31m", "日本"]
    for number, message_id in enumerate(given):
        properties = pika.BasicProperties(message_id=message_id)
        arrivals.publish(b"not JSON %d" % number, properties)
    assert consume(dlmon) == sorted(arrivals.sound)
    seen = rejects(dlmon)
    assert len({reject["message_id"] for reject in seen}) == len(given)
    assert {reject["message_id"] for reject in seen} >= {one for one in given if one}
