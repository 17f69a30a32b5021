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
| dlmon-raw-headers  | hex of a header table that could not be decoded, bounded               |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson

from dlmon.messages import HeaderValue
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
# default frame of 131,064 bytes.
MAX_REASON = 1024
MAX_VIOLATIONS_BYTES = 16 * 1024
MAX_RAW_HEADERS = 4 * 1024  # characters of hex
MAX_KEPT_HEADERS = 32  # headers
MAX_KEPT_TEXT = 512
MAX_SHORT_TEXT = 255  # AMQP carries its length in one byte

MAX_COUNT = 2**63 - 1
"""The largest integer that an AMQP header carries."""

END_OF_TIME = 253_402_300_800_000
"""The year 10000, in milliseconds since the epoch: Python's `datetime` ends before it."""

_INT64 = range(-(2**63), 2**63)

# Names that change what a broker does with a message, or that only dlmon may write.
_NEVER_KEPT_PREFIXES = ("x-", "dlmon-")
_NEVER_KEPT_NAMES = frozenset({"cc", "bcc"})


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


def violations_to_json(violations: Sequence[Violation]) -> str:
    """All violations that fit into `MAX_VIOLATIONS_BYTES`, and at least the first one."""
    parts: list[bytes] = []
    size = 2
    for violation in violations:
        part = orjson.dumps(
            {
                "code": clip(violation.code, MAX_SHORT_TEXT),
                "path": clip(violation.path, MAX_REASON),
                "reason": clip(violation.reason, MAX_REASON),
            }
        )
        size += len(part) + 1
        if parts and size > MAX_VIOLATIONS_BYTES:
            break
        parts.append(part)
    return (b"[" + b",".join(parts) + b"]").decode()


def read_violations(headers: Mapping[str, object]) -> tuple[Violation, ...]:
    """The violations in the headers of a reject; none where dlmon has not written them."""
    try:
        items = orjson.loads(read_text(headers, VIOLATIONS) or "[]")
        return tuple(
            Violation(str(item["code"]), str(item["path"]), str(item["reason"])) for item in items
        )
    except (orjson.JSONDecodeError, TypeError, KeyError):
        return ()


def read_text(headers: Mapping[str, object], name: str) -> str:
    """A header that should be a text; empty where it is missing or something else."""
    value = headers.get(name)
    return value if isinstance(value, str) else ""


def read_count(headers: Mapping[str, object], name: str) -> int | None:
    """A header that should be a count; None where it is missing or something else."""
    value = headers.get(name)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_COUNT:
        return value
    return None


def read_time(headers: Mapping[str, object], name: str) -> int | None:
    """A header that should be a time in milliseconds since the epoch; None where it is not one
    before the year 10000."""
    at = read_count(headers, name)
    return at if at is not None and at < END_OF_TIME else None


def clip(text: str, limit: int) -> str:
    """`text` in at most `limit` bytes of UTF-8, with an ellipsis where something was cut."""
    encoded = text.encode(errors="replace")
    if len(encoded) <= limit:
        return encoded.decode()
    return encoded[: limit - 3].decode(errors="ignore") + "…"


def short_text(value: str | None) -> str | None:
    """A property that AMQP carries as a short string, or None where it would not fit."""
    return value if value and len(value.encode()) <= MAX_SHORT_TEXT else None
