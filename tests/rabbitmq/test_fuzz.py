"""Whatever is published to arrivals: each message is stored or rejected, in bounded memory."""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pika
import pytest

from dlmon.brokers import open_broker
from dlmon.config.settings import Settings
from dlmon.messages import Queue
from tests.support.amqp import RawProperties, nested_lists, raw_channel, text, timestamp
from tests.support.dlmon import Dlmon
from tests.support.messages import in_queue
from tests.support.pipeline import Pipeline
from tests.support.thorough import repetitions

MESSAGES = repetitions(ordinary=500, thorough=5_000)
KEY = "download.completed"

MOST_MEGABYTES = 150
MOST_HEADER_BYTES = 131_064 // 2
"""Half of what makes RabbitMQ close the connection."""

ODD_VALUES: list[Any] = [
    *(None, True, "", "\0", "\x1b[31m", "é", 0, -1, 2**53, 2**63, 2**64, 10**400, 1e308, -0.0),
    *(5e-324, [], {}, [[]] * 50, {"": {"": ""}}, "2016-12-31T23:59:60Z", "0000-01-01T00:00:00Z"),
    *("x" * 5_000, "é" * 30_000, ["\0" * 9_000]),
]


class Sent(NamedTuple):
    """A message that was published; its correlation id is its number. sound: its body is."""

    number: str
    body: bytes
    sound: bool


class Fuzz:
    """Makes bodies and properties by chance: the same seed makes the same ones."""

    def __init__(self, seed: int) -> None:
        self._chance = Random(seed)
        self._sound: list[bytes] = []
        self._unsound: list[Callable[[], bytes]] = [
            *(self._odd, self._torn, self._bytes, self._large, self._deep, self._many_faults),
        ]

    def message(self, number: str) -> tuple[Sent, pika.BasicProperties]:
        sound = self._chance.random() < 0.5
        body = self._event() if sound else self._chance.choice(self._unsound)()
        return Sent(number, body, sound), self._properties(number)

    def _properties(self, number: str) -> pika.BasicProperties:
        chance = self._chance
        fields: dict[bytes, bytes] = {}
        for _ in range(chance.choice([0, 0, 0, 2, 40])):
            fields[b"h" + chance.randbytes(chance.randrange(30))] = chance.choice(
                [
                    text(chance.randbytes(chance.choice([0, 5, 2_000]))),
                    timestamp(chance.getrandbits(chance.choice([31, 64]))),
                    nested_lists(chance.choice([1, 30, 1_500])),
                    b"V",
                    b"t\1",
                    b"l" + chance.randbytes(8),
                    b"d" + chance.randbytes(8),
                ]
            )
        return RawProperties(
            fields,
            correlation_id=number,
            message_id=chance.choice([None, "", number, "same", b"\xff" + number.encode()]),
            content_type=chance.choice([None, "application/json", "x" * 255, b"\xc3("]),
            priority=chance.choice([None, 0, 255]),
            delivery_mode=chance.choice([None, 1, 2]),
            timestamp=chance.choice([None, 0, 2**63]),
        )

    def _event(self) -> bytes:
        """A new event, now and then one that was there before, or another one with its id."""
        if self._sound and self._chance.random() < 0.1:
            again = self._chance.choice(self._sound)
            return again if self._chance.random() < 0.5 else again.replace(b"}", b" }", 1)
        self._sound.append(self._dump(self._fields()))
        return self._sound[-1]

    def _fields(self) -> dict[str, Any]:
        digits = self._chance.randbytes(16).hex()
        return {
            "event_id": "-".join(
                digits[start:end] for start, end in ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32))
            ),
            "timestamp": "2026-03-01T12:00:00Z",
            "coordinates": {"latitude": 51.9, "longitude": self._chance.uniform(-180, 180)},
            "file_size": self._chance.getrandbits(50),
            "download_speed": self._chance.random() * 100,
        }

    def _dump(self, value: object) -> bytes:
        return json.dumps(value, ensure_ascii=self._chance.random() < 0.5).encode()

    def _odd(self) -> bytes:
        """An event that lacks something, or has something odd where only a number may be."""
        event = self._fields()
        if self._chance.random() < 0.3:
            del event[self._chance.choice(list(event))]
        else:
            values = [value for value in ODD_VALUES if type(value) not in (int, float)]
            event[self._chance.choice(["file_size", "download_speed", "coordinates"])] = (
                self._chance.choice(values)
            )
        return self._dump(event)

    def _torn(self) -> bytes:
        whole = self._dump(self._fields())
        return whole[: self._chance.randrange(len(whole))]

    def _bytes(self) -> bytes:
        return b"\xff" + self._chance.randbytes(self._chance.choice([0, 1, 30, 3_000]))

    def _large(self) -> bytes:
        return self._dump(self._fields() | {"note": "x" * self._chance.choice([65_536, 100_000])})

    def _deep(self) -> bytes:
        depth = self._chance.choice([1, 199, 255, 5_000])
        return self._chance.choice([b"[", b'{"a":']) * depth

    def _many_faults(self) -> bytes:
        """Values of all kinds, under names that make paths and reasons as long as they get."""
        names = ["file_size", "timestamp", "event_id", "coordinates", "x" * 20_000, "\0~/é"]
        odd = {name: self._chance.choice(ODD_VALUES) for name in names}
        return self._dump(odd | {"download_speed": odd})


@pytest.fixture
def consumer(dlmon: Dlmon) -> Pipeline:
    return Pipeline(dlmon)


def test_every_message_is_stored_or_rejected_once_whatever_it_is(
    rabbitmq_settings: Settings, rabbitmq_url: str, namespace: str, consumer: Pipeline
) -> None:
    fuzz = Fuzz(seed=5)
    sent: list[Sent] = []
    with closing(consumer), open_broker(rabbitmq_settings) as broker:
        running = consumer.consume()
        with raw_channel(rabbitmq_url) as channel:
            for number in range(MESSAGES):
                message, properties = fuzz.message(str(number))
                channel.basic_publish(namespace, KEY, message.body, properties, mandatory=True)
                sent.append(message)
        consumer.takes_all()
        megabytes = most_resident(running.process.pid)
        assert running.stop() == 0, running.said
        assert "Connecting again" not in running.said
        consumer.drain()  # a clean stop gives back what was on its way to the consumer
        assert consumer.ready("arrivals") == 0
        rejects = in_queue(broker, Queue.REJECTS)

    bodies = {message.number: message.body for message in sent}
    codes = {str(reject.correlation_id): reject.headers["dlmon-code"] for reject in rejects}
    assert len(codes) == len(rejects)
    for reject in rejects:
        assert reject.body == bodies[str(reject.correlation_id)]
        encoded = pika.BasicProperties(headers=dict(reject.headers)).encode()
        assert sum(map(len, encoded)) < MOST_HEADER_BYTES

    stored = stored_bodies(consumer.store)
    assert set(stored.values()) == {1}
    assert set(stored) == {message.body for message in sent if message.number not in codes}
    for message in sent:
        if message.sound:
            assert codes.get(message.number) in {None, "undecodable-headers", "id-conflict"}
        else:
            assert message.number in codes, message.body[:300]
    assert {"undecodable-headers", "id-conflict", "not-json", "not-utf8", "too-large"} <= {
        *codes.values()
    }
    assert megabytes < MOST_MEGABYTES


def stored_bodies(path: Path) -> Counter[bytes]:
    with closing(sqlite3.connect(path)) as database:
        return Counter(body.encode() for (body,) in database.execute("SELECT body FROM events"))


def most_resident(process: int) -> float:
    """Megabytes that a process has had in memory at most."""
    status = Path(f"/proc/{process}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found[1]) / 1024
