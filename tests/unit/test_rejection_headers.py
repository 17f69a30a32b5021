from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any

import pika
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlmon.brokers.rabbitmq.pika_adapter import PropertiesEncoder
from dlmon.messages import Delivery, Message, max_properties_bytes
from dlmon.rejects.headers import SMALLEST_FRAME, kept_headers
from dlmon.rejects.rejection import from_delivery, reject, to_message, to_replay
from dlmon.validation.schema import load_schema
from dlmon.validation.validator import Validator
from dlmon.validation.violations import Violation
from tests.support.events import make_body

MAX_TABLE = 65_536
"""Half of the frame that RabbitMQ allows by default: a larger header table ends the connection."""

SCALARS = st.one_of(
    st.text(max_size=40),
    st.integers(-(2**70), 2**70),
    st.booleans(),
    st.floats(allow_nan=False),
)
ANY_VALUE = st.recursive(
    st.one_of(
        SCALARS, st.none(), st.binary(max_size=10), st.just(datetime(2026, 3, 1, tzinfo=UTC))
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
NAMES = st.text(max_size=20) | st.sampled_from(
    ["CC", "bcc", "x-death", "dlmon-code", "dlmon-replays", "dlmon-violations", "DLMON-Reason"]
)
LONG_TEXT = st.builds(
    lambda text, times: text * times, st.text(min_size=1, max_size=20), st.sampled_from([1, 9999])
)


@cache
def validator() -> Validator:
    return Validator(load_schema())


def deliveries(values: st.SearchStrategy[Any], text: st.SearchStrategy[str]) -> Any:
    return st.builds(
        Delivery,
        body=st.binary(max_size=100),
        message_id=st.none() | text,
        headers=st.dictionaries(NAMES | text, values, max_size=50),
        content_type=st.none() | text,
        correlation_id=st.none() | text,
        content_encoding=st.none() | text,
        type=st.none() | text,
        app_id=st.none() | text,
        exchange=text,
        routing_key=text,
        delivery_count=st.just(0),
        token=st.none(),
        undecodable_headers=st.none() | st.binary(max_size=20).map(lambda data: data * 1000),
    )


def violations(text: st.SearchStrategy[str]) -> Any:
    return st.lists(st.builds(Violation, text, text, text), min_size=1, max_size=100)


def delivered(message: Message) -> Delivery:
    return Delivery(
        body=message.body,
        message_id=message.message_id,
        headers=message.headers,
        content_type=message.content_type,
        correlation_id=message.correlation_id,
        content_encoding=message.content_encoding,
        type=message.type,
        app_id=message.app_id,
        exchange="dlmon",
        routing_key="download.rejected",
        delivery_count=0,
        token=None,
    )


@given(deliveries(SCALARS, st.text(min_size=1, max_size=20)), st.data())
def test_a_rejection_travels_unchanged(delivery: Delivery, data: st.DataObject) -> None:
    short = st.text(max_size=20)
    rejection = reject(
        delivery,
        data.draw(st.lists(st.builds(Violation, short, short, short), min_size=1, max_size=20)),
        message_id=data.draw(st.text(min_size=1, max_size=20)),
        schema=data.draw(short),
        rejected_by=data.draw(short),
        rejected_at=data.draw(st.integers(0, 2**40)),
    )
    assert from_delivery(delivered(to_message(rejection)), validator()) == rejection


@given(deliveries(ANY_VALUE, LONG_TEXT), violations(LONG_TEXT), LONG_TEXT)
def test_headers_stay_far_below_the_frame_size_whatever_comes(
    delivery: Delivery, found: list[Violation], text: str
) -> None:
    rejection = reject(
        delivery, found, message_id="id", schema=text, rejected_by=text, rejected_at=0
    )
    for message in (to_message(rejection), to_replay(rejection)):
        pieces: list[bytes] = []
        assert pika.data.encode_table(pieces, message.headers) < MAX_TABLE
        assert message.body == delivery.body
        assert from_delivery(delivered(message), validator()).body == delivery.body


def test_headers_stay_below_the_frame_size_when_every_part_is_as_large_as_it_may_be() -> None:
    delivery = delivered(Message(b"", "id"))._replace(
        headers={f"{n:03}" + "n" * 252: "ü" * 256 for n in range(100)},
        exchange="e" * 255,
        routing_key="r" * 255,
        undecodable_headers=b"\xff" * 100_000,
    )
    text = '"\\\n' * 2000
    rejection = reject(
        delivery,
        [Violation(text, text, text)] * 100,
        message_id="id",
        schema=text,
        rejected_by=text,
        rejected_at=0,
    )
    pieces: list[bytes] = []
    assert pika.data.encode_table(pieces, to_message(rejection).headers) < MAX_TABLE


@given(
    deliveries(SCALARS, LONG_TEXT), violations(LONG_TEXT), LONG_TEXT, st.integers(4_096, 140_000)
)
def test_what_is_parked_or_replayed_fits_into_any_frame(
    delivery: Delivery, found: list[Violation], text: str, frame: int
) -> None:
    rejection = reject(
        delivery, found, message_id="i" * 255, schema=text, rejected_by=text, rejected_at=0
    )
    limit = max_properties_bytes(frame)
    for message in (to_message(rejection, limit), to_replay(rejection, limit)):
        assert len(PropertiesEncoder().encode(message).encoded) <= limit
        assert message.body == delivery.body
        assert from_delivery(delivered(to_message(rejection, limit)), validator()).violations


def test_the_largest_rejection_fits_into_the_smallest_frame() -> None:
    delivery = delivered(Message(b"", "id"))._replace(
        headers={f"{n:03}" + "n" * 252: "ü" * 256 for n in range(100)},
        exchange="e" * 255,
        routing_key="r" * 255,
        undecodable_headers=b"\xff" * 100_000,
        content_type="p" * 255,
        correlation_id="p" * 255,
        type="p" * 255,
        app_id="p" * 255,
    )
    text = "\x01" * 2_000  # six bytes each in JSON
    rejection = reject(
        delivery,
        [Violation(text, text, text)] * 100,
        message_id="i" * 255,
        schema=text,
        rejected_by=text,
        rejected_at=0,
    )
    limit = max_properties_bytes(SMALLEST_FRAME)
    message = to_message(rejection, limit)
    assert len(PropertiesEncoder().encode(message).encoded) <= limit
    [violation] = from_delivery(delivered(message), validator()).violations
    assert violation.code.startswith("\x01" * 40)


@pytest.mark.parametrize(
    "headers",
    [
        {"CC": ["dlmon.arrivals"]},
        {"cc": "download.completed"},
        {"BCC": "download.completed"},
        {"x-delay": 5},
        {"dlmon-code": "fine"},
        {"nested": {"deep": [1]}},
        {"moment": datetime(2026, 3, 1, tzinfo=UTC)},
        {"nothing": None},
        {"huge": 2**64},
        {"long": "x" * 513},
        {"n" * 256: 1},
    ],
)
def test_headers_that_could_do_harm_are_not_kept(headers: dict[str, object]) -> None:
    assert kept_headers({**headers, "agent": "7", "retries": 3}) == {"agent": "7", "retries": 3}


def test_a_rejects_message_of_someone_else_is_judged_on_the_spot() -> None:
    foreign = delivered(Message(make_body(file_size=-1), "id", {"dlmon-violations": '[{"a":1}]'}))
    assert from_delivery(foreign, validator()).code == "minimum"
    sound = delivered(Message(make_body(), "id", {"dlmon-violations": "not json"}))
    assert from_delivery(sound, validator()).code == "foreign"
