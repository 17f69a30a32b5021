"""Rejects that another program has published, with headers of dlmon's that say anything at all."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from dlmon.brokers import open_broker
from dlmon.config.settings import Settings
from dlmon.messages import Queue
from tests.support.amqp import (
    Fields,
    RawProperties,
    field_table,
    nested_lists,
    raw_channel,
    text,
    timestamp,
)
from tests.support.dlmon import Dlmon
from tests.support.events import make_body
from tests.support.rejections import ids


def table(fields: Fields) -> bytes:
    return b"F" + field_table(fields)


def array(value: bytes) -> bytes:
    return b"A" + struct.pack(">I", len(value)) + value


DEEP = b"[" * 1000 + b"]" * 1000
MOST = struct.pack(">q", 2**63 - 1)
VIOLATION = b'[{"code": "type", "path": "/file_size", "reason": "forged"}]'

FORGED: dict[str, Fields] = {
    "every header a number": {
        b"dlmon-%b" % name: b"l" + MOST
        for name in (b"violations", b"schema", b"origin", b"rejected-by", b"raw-headers")
    },
    "violations nested deeply": {
        b"dlmon-violations": text(b'[{"code": "a", "path": "", "reason": %b}]' % DEEP)
    },
    "violations of other types": {
        b"dlmon-violations": text(b'[{"code": 1, "path": [], "reason": {}}]')
    },
    "violations without end": {
        b"dlmon-violations": text(b"[" + b",".join([VIOLATION[1:-1]] * 900) + b"]")
    },
    "a path of 50 KB": {b"dlmon-violations": text(VIOLATION.replace(b"/file", b"/x" * 25_000))},
    "texts of 20 KB": {
        b"dlmon-violations": text(VIOLATION),
        b"dlmon-schema": text(b"s" * 20_000),
        b"dlmon-origin": text(b"o" * 20_000),
        b"dlmon-rejected-by": text(b"b" * 20_000),
    },
    "times and counts out of range": {
        b"dlmon-violations": text(VIOLATION),
        b"dlmon-rejected-at": b"l" + MOST,
        b"dlmon-published-at": b"l" + struct.pack(">q", -1),
        b"dlmon-replays": b"l" + MOST,
    },
    "a death in the year 9999 of a queue with a long name": {
        b"x-death": array(
            table(
                {
                    b"queue": text(b"q" * 20_000),
                    b"reason": text(b"\x1b[31m"),
                    b"count": b"l" + MOST,
                    b"time": timestamp(253_402_300_799),
                }
            )
        )
    },
    "a name that is not UTF-8": {b"\xff\xfe": text(b"x"), b"dlmon-violations": text(VIOLATION)},
    "values that are not UTF-8": {b"a": text(b"\xff"), b"dlmon-violations": text(b"\xff")},
    "lists in lists": {b"dlmon-violations": nested_lists(50)},
}


@pytest.fixture
def dlmon(rabbitmq_settings: Settings, rabbitmq_url: str, tmp_path: Path) -> Dlmon:
    """With rejects that were forged in each way, one without an id, and one with an odd id."""
    key = "download.rejected"
    with open_broker(rabbitmq_settings), raw_channel(rabbitmq_url) as channel:
        for name, fields in FORGED.items():
            properties = RawProperties(fields, message_id=name, delivery_mode=2)
            channel.basic_publish(rabbitmq_settings.namespace, key, make_body(), properties)
        for message_id in (None, b"\xff\xfe id"):
            properties = RawProperties({}, message_id=message_id, delivery_mode=2)
            channel.basic_publish(rabbitmq_settings.namespace, key, b"\xff", properties)
    return Dlmon(rabbitmq_settings, tmp_path)


@pytest.mark.parametrize(
    "arguments",
    [
        ["inspect-rejects"],
        ["inspect-rejects", "--list", "--limit", "99"],
        ["inspect-rejects", "--json"],
        ["inspect-rejects", "--revalidate"],
        ["inspect-rejects", "--export", "out.ndjson.gz"],
        ["replay-rejects", "--dry-run", "--even-invalid", "--max-replays", str(2**63)],
        ["replay-rejects", "--dry-run", "--patch", ".file_size |= tonumber"],
        ["discard-rejects", "--all", "--dry-run"],
    ],
)
def test_each_way_of_looking_shows_them_all(dlmon: Dlmon, arguments: list[str]) -> None:
    done = dlmon(*arguments)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert not {"\x1b", "\u202e"} & set(done.stdout)
    assert max(map(len, done.stdout.splitlines())) < 20_000
    if "--json" in arguments:
        assert len(done.stdout.splitlines()) == len(FORGED) + 2


@pytest.mark.parametrize(
    "name", ["a path of 50 KB", "violations without end", "a name that is not UTF-8"]
)
def test_each_of_them_can_be_shown(dlmon: Dlmon, name: str) -> None:
    done = dlmon("inspect-rejects", "--show", name)
    assert (done.returncode, done.stderr) == (0, "")
    assert name in done.stdout


def test_each_of_them_goes_back_or_into_a_file(dlmon: Dlmon, rabbitmq_settings: Settings) -> None:
    count = len(FORGED) + 2
    replay = ["replay-rejects", "--yes", "--even-invalid", "--max-replays", str(2**63)]
    exported = dlmon("inspect-rejects", "--json").stdout
    assert {json.loads(line)["replays"] for line in exported.splitlines()} == {0, 2**63 - 1}
    assert dlmon(*replay).returncode == 0
    with open_broker(rabbitmq_settings) as broker:
        assert len(ids(broker, Queue.ARRIVALS)) == count
        assert not ids(broker, Queue.REJECTS)
    again = dlmon(*replay, "--from", "-", stdin=exported)
    assert (again.returncode, again.stderr) == (0, "")
    with open_broker(rabbitmq_settings) as broker:
        assert len(ids(broker, Queue.ARRIVALS)) == 2 * count
