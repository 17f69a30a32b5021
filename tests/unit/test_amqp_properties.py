"""Properties are encoded as pika encodes them."""

from __future__ import annotations

import pika
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlmon.brokers.rabbitmq.properties import encode_properties
from dlmon.messages import Message

TEXTS = st.text(max_size=60)
SHORT = st.none() | TEXTS
HEADERS = st.dictionaries(
    TEXTS,
    st.text() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.integers(-(2**32), 2**32),
    max_size=5,
)


@given(
    message_id=TEXTS,
    headers=HEADERS,
    content_type=SHORT,
    correlation_id=SHORT,
    content_encoding=SHORT,
    kind=SHORT,
    app_id=SHORT,
)
def test_properties_are_what_pika_makes_of_them(
    message_id: str,
    headers: dict[str, str | int | bool],
    content_type: str | None,
    correlation_id: str | None,
    content_encoding: str | None,
    kind: str | None,
    app_id: str | None,
) -> None:
    message = Message(
        b"",
        "another",
        headers,
        content_type,
        correlation_id,
        content_encoding,
        kind,
        app_id,
    )
    expected = pika.BasicProperties(
        content_type=content_type,
        content_encoding=content_encoding,
        headers=headers or None,
        delivery_mode=2,
        correlation_id=correlation_id,
        message_id=message_id,
        type=kind,
        app_id=app_id,
    )
    assert encode_properties(message, message_id) == b"".join(expected.encode())


def test_a_text_that_is_too_long_for_its_place_is_an_error() -> None:
    message = Message(b"", "1", {"n" * 256: 1})
    with pytest.raises(ValueError, match="256 bytes are too many"):
        encode_properties(message, "1")
    with pytest.raises(ValueError, match="300 bytes are too many"):
        encode_properties(Message(b"", "1"), "é" * 150)
