"""The headers of a rejection: their names and bounds, and how their values are written and read.

Everything in headers that came from outside is untrusted. A kept `CC` would route a reject back to
arrivals, and RabbitMQ closes a connection that sends a header table larger than a frame.

| header             | value                                                                  |
|--------------------|------------------------------------------------------------------------|
| dlmon-code         | code of the first violation                                            |
| dlmon-path         | JSON Pointer of the first violation                                    |
| dlmon-reason       | its reason, at most 1 KiB                                              |
| dlmon-violations   | all violations as JSON, [{"code", "path", "reason"}, ...], bounded     |
| dlmon-schema       | `$id` and short hash of the schema that the event was validated by     |
| dlmon-origin       | exchange and routing key it was published with; only for people        |
| dlmon-rejected-at  | milliseconds since the epoch                                           |
| dlmon-rejected-by  | the consumer that rejected it                                          |
| dlmon-replays      | how often it was replayed                                              |
| dlmon-published-at | milliseconds since the epoch, on events too                            |
| dlmon-message      | id of the message it came in, where that had several events            |
| dlmon-place        | its place in that message, from 1                                      |
| dlmon-raw-headers  | hex of a header table that could not be decoded, bounded               |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import orjson

from dlmon.messages import HeaderValue, Message
from dlmon.validation.validator import MAX_VIOLATIONS
from dlmon.validation.violations import Violation

CODE = "dlmon-code"
PATH = "dlmon-path"
REASON = "dlmon-reason"
VIOLATIONS = "dlmon-violations"
SCHEMA = "dlmon-schema"
ORIGIN = "dlmon-origin"
REJECTED_AT = "dlmon-rejected-at"
REJECTED_BY = "dlmon-rejected-by"
REPLAYS = "dlmon-replays"
RAW_HEADERS = "dlmon-raw-headers"

# Bounds in bytes of UTF-8, unless said otherwise. Together they are less than half of RabbitMQ's
# default frame; where frames are smaller, `Bounds` divides them.
MAX_REASON = 1024
MAX_VIOLATIONS_BYTES = 16 * 1024
MAX_RAW_HEADERS = 4 * 1024  # characters of hex
MAX_KEPT_HEADERS = 32  # headers
MAX_KEPT_TEXT = 512
MAX_SHORT_TEXT = 255  # AMQP carries its length in one byte

MAX_COUNT = 2**63 - 1
"""The largest integer that an AMQP header carries."""

SMALLEST_FRAME = 4096
"""Bytes of a frame that every AMQP broker agrees to."""

END_OF_TIME = 253_402_300_800_000
"""The year 10000, in milliseconds since the epoch: Python's `datetime` ends before it."""

_INT64 = range(-(2**63), 2**63)

# Names that change what a broker does with a message, or that only dlmon may write.
_NEVER_KEPT_PREFIXES = ("x-", "dlmon-")
_NEVER_KEPT_NAMES = frozenset({"cc", "bcc"})


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much of each header is sent, for all that fits into one frame with the rest."""

    divisor: int = 1

    @property
    def text(self) -> int:
        """Bytes of a path, a reason, and the name of a schema."""
        return max(64, MAX_REASON // self.divisor)

    @property
    def short_text(self) -> int:
        """Bytes of a code, of names, and of properties other than the message id."""
        return max(64, MAX_SHORT_TEXT // self.divisor)

    @property
    def violations(self) -> int:
        """Bytes of all violations, or of the first one where that has more."""
        return MAX_VIOLATIONS_BYTES // self.divisor

    @property
    def raw_headers(self) -> int:
        """Characters of hex."""
        return MAX_RAW_HEADERS // self.divisor

    def kept(self, headers: Mapping[str, HeaderValue] | None) -> dict[str, HeaderValue]:
        """The first of the headers that were kept."""
        return dict(islice((headers or {}).items(), MAX_KEPT_HEADERS // self.divisor))


UNDIVIDED_BYTES = 64 * 1024
"""What properties and headers within the undivided bounds never reach, as AMQP encodes them."""


def fit(build: Callable[[Bounds], Message], max_bytes: int) -> Message:
    """The message with the widest bounds that has at most `max_bytes` of properties.

    build: makes it within bounds. Half a bound is enough for the next smaller frame.
    """
    message = build(Bounds())
    if max_bytes >= UNDIVIDED_BYTES:
        return message
    divisor = 1
    while properties_bytes(message) > max_bytes and divisor < MAX_KEPT_HEADERS:
        divisor *= 2
        message = build(Bounds(divisor))
    return message


def properties_bytes(message: Message) -> int:
    """What the properties of a message take as AMQP encodes them, or a few bytes less than this."""
    texts = (
        message.content_type,
        message.correlation_id,
        message.message_id,
        message.content_encoding,
        message.type,
        message.app_id,
    )
    size = 16 + sum(1 + len(text.encode()) for text in texts if text is not None)
    for name, value in message.headers.items():
        size += 2 + len(name.encode())
        size += 4 + len(value.encode()) if isinstance(value, str) else 8
    return size


def kept_headers(headers: Mapping[str, object]) -> dict[str, HeaderValue]:
    """The headers of a message that go along with it: scalars up to a bound, and harmless names."""
    kept: dict[str, HeaderValue] = {}
    for name, given in headers.items():
        if name.startswith(_NEVER_KEPT_PREFIXES):  # most headers, without a call of lower()
            continue
        lowered = name.lower()
        if lowered in _NEVER_KEPT_NAMES or lowered.startswith(_NEVER_KEPT_PREFIXES):
            continue
        # pika writes no floating-point numbers into headers.
        value = str(given) if isinstance(given, float) else given
        if len(name.encode()) > MAX_SHORT_TEXT or not isinstance(value, str | int):
            continue
        if isinstance(value, str) and len(value.encode()) > MAX_KEPT_TEXT:
            continue
        if isinstance(value, int) and value not in _INT64:
            continue
        kept[name] = value
        if len(kept) == MAX_KEPT_HEADERS:
            break
    return kept


def violations_to_json(violations: Sequence[Violation], bounds: Bounds) -> str:
    """All violations that fit into their bounds, and at least the first one."""
    parts: list[bytes] = []
    size = 2
    for violation in violations:
        part = orjson.dumps(
            {
                "code": clip(violation.code, bounds.short_text),
                "path": clip(violation.path, bounds.text),
                "reason": clip(violation.reason, bounds.text),
            }
        )
        size += len(part) + 1
        if parts and size > bounds.violations:
            break
        parts.append(part)
    return (b"[" + b",".join(parts) + b"]").decode()


def read_violations(headers: Mapping[str, object]) -> tuple[Violation, ...]:
    """The violations in the headers of a reject; none where dlmon has not written them."""
    text = headers.get(VIOLATIONS)
    if not isinstance(text, str):
        return ()
    try:
        items = orjson.loads(text)
        return tuple(
            Violation(
                clip(item["code"], MAX_SHORT_TEXT),
                clip(item["path"], MAX_REASON),
                clip(item["reason"], MAX_REASON),
            )
            for item in items[:MAX_VIOLATIONS]
        )
    except (orjson.JSONDecodeError, TypeError, KeyError, AttributeError):
        return ()  # not in the shape that dlmon writes


def read_text(headers: Mapping[str, object], name: str, limit: int) -> str:
    """A header that should be a text, clipped; empty where it is missing or something else."""
    value = headers.get(name)
    return clip(value, limit) if isinstance(value, str) else ""


def read_count(headers: Mapping[str, object], name: str) -> int | None:
    """A header that should be a count; None where it is missing or something else."""
    value = headers.get(name)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_COUNT:
        return value
    return None


def read_time(headers: Mapping[str, object], name: str) -> int | None:
    """A header that should be a time in milliseconds since the epoch; None where it is not."""
    return time_or_none(read_count(headers, name))


def time_or_none(at: int | None) -> int | None:
    """A time in milliseconds, if it is in the years 1970 to 9999."""
    return at if at is not None and 0 <= at < END_OF_TIME else None


def clip(text: str, limit: int) -> str:
    """`text` in at most `limit` bytes of UTF-8, with an ellipsis where something was cut."""
    if len(text) <= limit and text.isascii():  # nearly always
        return text
    encoded = text.encode(errors="replace")
    if len(encoded) <= limit:
        return encoded.decode()
    return encoded[: limit - 3].decode(errors="ignore") + "…"


def short_text(value: str | None, limit: int = MAX_SHORT_TEXT) -> str | None:
    """A property that AMQP carries as a short string, or None where it would not fit."""
    return value if value and len(value.encode()) <= limit else None
