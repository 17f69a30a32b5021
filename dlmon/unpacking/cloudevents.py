"""CloudEvents 1.0: the event is the `data`, and what it lacks comes from `id` and `time`.

In the structured modes the attributes stand beside the data in one JSON text (CloudEvents JSON
format, sections 3 and 4); in the binary mode they are headers of the message, and its body is the
data (AMQP binding, section 3.1; `ce-` is what HTTP bindings write).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import orjson

from dlmon.event import EVENT_ID, TIMESTAMP
from dlmon.messages import HeaderValue
from dlmon.validation.duplicate_keys import duplicate_keys, may_have_duplicate_keys
from dlmon.validation.json_positions import value_spans

STRUCTURED = "application/cloudevents+json"
BATCHED = "application/cloudevents-batch+json"

_PREFIX = "cloudEvents:"
_PREFIXES = (_PREFIX, "cloudEvents_", "ce-", "ce_")
BINARY = frozenset(f"{prefix}specversion" for prefix in _PREFIXES)
"""Headers of which a message in the binary mode has one."""

_FROM = {EVENT_ID: "id", TIMESTAMP: "time"}
_DATA = ("data", "data_base64", "datacontenttype")


class CloudEvent(NamedTuple):
    """The event in a CloudEvent, and the headers that carry its attributes in the binary mode."""

    body: bytes
    headers: Mapping[str, HeaderValue]


def from_structured(text: bytes) -> CloudEvent:
    """The event in the JSON text of a CloudEvent. What is none is taken as the event itself.

    So is one with two ways to read it: an attribute or the data that stands twice, or data both as
    it is and as base64. Its verdict says so, and neither of the two is lost.
    """
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return CloudEvent(text, {})
    data = _data_of(text, value) if isinstance(value, dict) and "specversion" in value else None
    if data is None or _is_ambiguous(text, value):
        return CloudEvent(text, {})
    headers = {
        f"{_PREFIX}{name}": attribute
        for name, attribute in value.items()
        if name not in _DATA and isinstance(attribute, str | int | bool)
    }
    return CloudEvent(complete(data, value), headers)


def attributes_of(headers: Mapping[str, object]) -> dict[str, object]:
    """The attributes in the headers of a message in the binary mode."""
    return {
        name.removeprefix(prefix): value
        for name, value in headers.items()
        for prefix in _PREFIXES
        if name.startswith(prefix)
    }


def complete(data: bytes, attributes: Mapping[str, object]) -> bytes:
    """An event, with the id and the time of its CloudEvent in front where it has none."""
    try:
        event = orjson.loads(data)
    except orjson.JSONDecodeError:
        return data
    if not isinstance(event, dict):
        return data
    missing = {
        member: attributes[name]
        for member, name in _FROM.items()
        if member not in event and isinstance(attributes.get(name), str)
    }
    if not missing:
        return data
    after = data.index(b"{") + 1
    comma = b"," if event else b""
    return b"%b%b%b%b" % (data[:after], orjson.dumps(missing)[1:-1], comma, data[after:])


def _is_ambiguous(text: bytes, value: dict[str, Any]) -> bool:
    if value.keys() >= {"data", "data_base64"}:
        return True
    with suppress(orjson.JSONEncodeError):  # of what is nested too deeply
        if not may_have_duplicate_keys(text, value):
            return False
    return any(pointer.count("/") == 1 for pointer in duplicate_keys(text))


def _data_of(text: bytes, value: dict[str, Any]) -> bytes | None:
    """The exact bytes of the data; None where there is none that can be read."""
    if "data" in value:
        with suppress(orjson.JSONEncodeError):  # of what is nested too deeply
            usual = orjson.dumps(value["data"])
            if b'"data":%b' % usual in text:
                return usual
        spans = [span for span in value_spans(text) if span.pointer == "/data"]
        return text[spans[-1].start : spans[-1].end]
    encoded = value.get("data_base64")
    if isinstance(encoded, str):
        try:
            return base64.b64decode(encoded, validate=True)
        except binascii.Error:
            return None
    return None
