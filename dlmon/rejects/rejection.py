"""A rejection, and how it travels: as a message of the rejects queue, and back to arrivals.

The body is kept byte for byte. Properties are built afresh each time, because everything that came
from outside is untrusted: a kept `CC` would route a reject back to arrivals, a kept `expiration`
would delete it, and a foreign `user_id` closes the channel.

| header             | value                                                                  |
|--------------------|------------------------------------------------------------------------|
| dlmon-code         | code of the first violation                                            |
| dlmon-path         | JSON Pointer of the first violation                                    |
| dlmon-reason       | its reason, at most 1 KiB                                              |
| dlmon-violations   | all violations as JSON, [{"code", "path", "reason"}, ...], bounded     |
| dlmon-schema       | `$id` and short hash of the schema that judged                         |
| dlmon-origin       | exchange and routing key it was published with; for the eye only       |
| dlmon-rejected-at  | milliseconds since the epoch                                           |
| dlmon-rejected-by  | the consumer that rejected it                                          |
| dlmon-replays      | how often it was replayed                                              |
| dlmon-published-at | milliseconds since the epoch, on events too                            |
| dlmon-raw-headers  | hex of a header table that could not be decoded, bounded               |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson

from dlmon.event import MAX_MESSAGE_ID, event_id_of, id_from_body
from dlmon.messages import PUBLISHED_AT, Delivery, HeaderValue, Message
from dlmon.validation.validator import Validator
from dlmon.validation.violations import (
    FOREIGN,
    ID_CONFLICT,
    UNDECODABLE_HEADERS,
    UNDELIVERABLE,
    UNSTORABLE,
    Violation,
)

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

# RabbitMQ closes a connection whose header table is larger than a frame (131,064 bytes). These
# bounds add up to less than half of one.
MAX_REASON = 1024
MAX_VIOLATIONS_BYTES = 16 * 1024
MAX_RAW_HEADERS = 4 * 1024
MAX_KEPT_HEADERS = 32
MAX_KEPT_TEXT = 512
MAX_SHORT_TEXT = 255
_INT64 = range(-(2**63), 2**63)
_END_OF_TIME = 253_402_300_800_000  # the year 10000, in milliseconds since the epoch

# Only a store can tell whether these are still so.
_JUDGED_BY_THE_STORE = frozenset({UNSTORABLE, ID_CONFLICT})

# What RabbitMQ calls it, and what happened: its word tells only half of it.
_DEATHS = {
    "delivery_limit": "delivery_limit, whoever received it crashed or gave it back each time",
}

# Names that change what a broker does with a message, or that speak for dlmon.
_NEVER_KEPT = ("x-", "dlmon-")
_NEVER_KEPT_NAMES = frozenset({"cc", "bcc"})


@dataclass(frozen=True, slots=True)
class Rejection:
    """A message with its violations and where it came from.

    Times are in milliseconds since the epoch, None where nobody noted them. `violations` is never
    empty. `headers` are what was kept of the headers of the message.
    """

    message_id: str
    body: bytes
    violations: tuple[Violation, ...]
    schema: str
    origin: str
    rejected_at: int | None
    rejected_by: str
    replays: int = 0
    published_at: int | None = None
    headers: Mapping[str, HeaderValue] | None = None
    content_type: str | None = None
    correlation_id: str | None = None
    raw_headers: str = ""

    @property
    def code(self) -> str:
        return self.violations[0].code

    @property
    def path(self) -> str:
        return self.violations[0].path

    @property
    def reason(self) -> str:
        return self.violations[0].reason


def reject(
    delivery: Delivery,
    violations: Sequence[Violation],
    *,
    message_id: str,
    schema: str,
    rejected_by: str,
    rejected_at: int | None,
    origin: str = "",
    raw_headers: str = "",
) -> Rejection:
    """The rejection of a delivery.

    message_id: see `message_id_of`. rejected_at: milliseconds since the epoch. origin, raw_headers:
    where they are known from before; otherwise the delivery tells.
    """
    headers = delivery.headers
    return Rejection(
        message_id=message_id,
        body=delivery.body,
        violations=tuple(violations),
        schema=schema,
        origin=origin or _clip(_address(delivery), 2 * MAX_SHORT_TEXT),
        rejected_at=rejected_at,
        rejected_by=rejected_by,
        replays=_whole(headers.get(REPLAYS)) or 0,
        published_at=_time(headers.get(PUBLISHED_AT)),
        headers=kept_headers(headers),
        content_type=_short(delivery.content_type),
        correlation_id=_short(delivery.correlation_id),
        raw_headers=raw_headers
        or (delivery.undecodable_headers or b"")[: MAX_RAW_HEADERS // 2].hex(),
    )


def message_id_of(delivery: Delivery, value: object = None) -> str:
    """What identifies a delivery everywhere: its message id, else the id in its body, else a hash.

    value: the parsed body, where it could be parsed.
    """
    given = delivery.message_id
    if given and len(given.encode()) <= MAX_MESSAGE_ID:
        return given
    return event_id_of(value) or id_from_body(delivery.body)


def to_message(rejection: Rejection) -> Message:
    """The message that parks a rejection."""
    headers: dict[str, HeaderValue] = {
        **(rejection.headers or {}),
        CODE: _clip(rejection.code, MAX_SHORT_TEXT),
        PATH: _clip(rejection.path, MAX_REASON),
        REASON: _clip(rejection.reason, MAX_REASON),
        VIOLATIONS: _violations_as_json(rejection.violations),
        SCHEMA: _clip(rejection.schema, MAX_REASON),
        ORIGIN: rejection.origin,
        REJECTED_BY: _clip(rejection.rejected_by, MAX_SHORT_TEXT),
        REPLAYS: rejection.replays,
    }
    if rejection.rejected_at is not None:
        headers[REJECTED_AT] = rejection.rejected_at
    if rejection.published_at is not None:
        headers[PUBLISHED_AT] = rejection.published_at
    if rejection.raw_headers:
        headers[RAW_HEADERS] = rejection.raw_headers
    return _message(rejection, headers)


def to_replay(rejection: Rejection) -> Message:
    """The message that puts a rejection back on arrivals."""
    headers: dict[str, HeaderValue] = {
        **(rejection.headers or {}),
        REPLAYS: rejection.replays + 1,
    }
    if rejection.published_at is not None:
        headers[PUBLISHED_AT] = rejection.published_at
    return _message(rejection, headers)


def from_delivery(delivery: Delivery, validator: Validator) -> Rejection:
    """What a message of the rejects queue says, however it got there.

    One without dlmon's headers is told from what can be seen: dead-lettered by the broker
    (`undeliverable`), or put there by someone else and judged on the spot by `validator`
    (`foreign` where nothing is wrong with it).
    """
    headers = delivery.headers
    violations = _violations_from(headers)
    schema = _text(headers.get(SCHEMA))
    at = _time(headers.get(REJECTED_AT))
    origin = _text(headers.get(ORIGIN))
    if not violations:
        violations = _violations_seen(delivery, validator)
        schema = validator.schema.version
        if delivery.dead_letter is not None:
            at = delivery.dead_letter.at if at is None else at
            origin = origin or _clip(delivery.dead_letter.queue, MAX_SHORT_TEXT)
    # Looking reads a great many of them: only a body that must identify itself is parsed for that.
    value = None if delivery.message_id else validator.validate(delivery.body).value
    return reject(
        delivery,
        violations,
        message_id=message_id_of(delivery, value),
        schema=schema,
        rejected_by=_text(headers.get(REJECTED_BY)),
        rejected_at=at,
        origin=origin,
        raw_headers=_text(headers.get(RAW_HEADERS)),
    )


def revalidate(
    rejection: Rejection, validator: Validator, body: bytes | None = None
) -> tuple[Violation, ...]:
    """What is wrong with a rejection now, or would be with another body.

    What a store refused passes every schema: its word stands as long as the body is the same.
    """
    if body is not None and body != rejection.body:
        return validator.validate(body).violations
    return validator.validate(rejection.body).violations or tuple(
        violation for violation in rejection.violations if violation.code in _JUDGED_BY_THE_STORE
    )


def kept_headers(headers: Mapping[str, object]) -> dict[str, HeaderValue]:
    """The headers of a message that go along with it: scalars up to a bound, and harmless names."""
    kept: dict[str, HeaderValue] = {}
    for name, given in headers.items():
        if name.startswith(_NEVER_KEPT):  # nearly all of them, and nearly always spelled so
            continue
        lowered = name.lower()
        if lowered in _NEVER_KEPT_NAMES or lowered.startswith(_NEVER_KEPT):
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


def _address(delivery: Delivery) -> str:
    """Exchange and routing key; the default exchange has no name."""
    return f"{delivery.exchange} {delivery.routing_key}".lstrip()


def _message(rejection: Rejection, headers: Mapping[str, HeaderValue]) -> Message:
    return Message(
        body=rejection.body,
        message_id=rejection.message_id,
        headers=headers,
        content_type=rejection.content_type,
        correlation_id=rejection.correlation_id,
    )


def _violations_seen(delivery: Delivery, validator: Validator) -> tuple[Violation, ...]:
    if delivery.undecodable_headers is not None:
        return (Violation(UNDECODABLE_HEADERS, "", "the header table cannot be decoded"),)
    if delivery.dead_letter is not None:
        letter = delivery.dead_letter
        why = _DEATHS.get(letter.reason, letter.reason)
        return (Violation(UNDELIVERABLE, "", f"dead-lettered from {letter.queue}: {why}"),)
    found = validator.validate(delivery.body).violations
    return found or (Violation(FOREIGN, "", "put here by someone else; the event itself is valid"),)


def _violations_as_json(violations: Sequence[Violation]) -> str:
    """All violations that fit into the bound; at least the first one does."""
    parts: list[bytes] = []
    size = 2
    for violation in violations:
        part = orjson.dumps(
            {
                "code": _clip(violation.code, MAX_SHORT_TEXT),
                "path": _clip(violation.path, MAX_REASON),
                "reason": _clip(violation.reason, MAX_REASON),
            }
        )
        size += len(part) + 1
        if parts and size > MAX_VIOLATIONS_BYTES:
            break
        parts.append(part)
    return (b"[" + b",".join(parts) + b"]").decode()


def _violations_from(headers: Mapping[str, object]) -> tuple[Violation, ...]:
    """The violations that headers tell of; none where they are not dlmon's own."""
    try:
        items = orjson.loads(_text(headers.get(VIOLATIONS)) or "[]")
        return tuple(
            Violation(str(item["code"]), str(item["path"]), str(item["reason"])) for item in items
        )
    except (orjson.JSONDecodeError, TypeError, KeyError):
        return ()


def _clip(text: str, limit: int) -> str:
    """`text` in at most `limit` bytes of UTF-8; an ellipsis tells that something was cut."""
    encoded = text.encode(errors="replace")
    if len(encoded) <= limit:
        return encoded.decode()
    return encoded[: limit - 3].decode(errors="ignore") + "…"


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _short(value: str | None) -> str | None:
    """A property that AMQP carries as a short string, or None where it would not fit."""
    return value if value and len(value.encode()) <= MAX_SHORT_TEXT else None


def _time(value: object) -> int | None:
    """A time in a header, in milliseconds since the epoch, where it is one."""
    at = _whole(value)
    return at if at is not None and at < _END_OF_TIME else None


def _whole(value: object) -> int | None:
    """A count in a header, where it is one."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63:
        return value
    return None
