"""A rejection, and how it travels: as a message of the rejects queue, and back to arrivals.

The body is kept byte for byte. Properties are built afresh each time, because everything that came
from outside is untrusted: a kept `expiration` would delete a reject, and a foreign `user_id` closes
the channel. `dlmon.rejects.headers` lists the headers and their bounds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dlmon.event import MAX_MESSAGE_ID, event_id_of, id_from_body
from dlmon.messages import PACKED_IN, PLACE, PUBLISHED_AT, Delivery, HeaderValue, Message
from dlmon.rejects import headers as header
from dlmon.unpacking.unpacker import Contents, Unpacker, is_one_event
from dlmon.validation.validator import Validator
from dlmon.validation.violations import (
    FOREIGN,
    ID_CONFLICT,
    UNDECODABLE_HEADERS,
    UNDELIVERABLE,
    UNSTORABLE,
    Violation,
)

# A schema cannot say whether these are still true: a store decides.
_DECIDED_BY_THE_STORE = frozenset({UNSTORABLE, ID_CONFLICT})

# RabbitMQ's reasons for a dead letter that need more words.
_DEAD_LETTER_REASONS = {
    "delivery_limit": "delivery_limit, each consumer that received it crashed or gave it back",
    "expired": "expired, a policy of RabbitMQ with a message-ttl applies to the queue",
    "maxlen": "maxlen, a policy of RabbitMQ with a max-length applies to the queue",
}


@dataclass(frozen=True, slots=True)
class Rejection:
    """A message with its violations and where it came from.

    Times are in milliseconds since the epoch, None where they are not known. `violations` is never
    empty. `headers` are those of the original message that were kept. Where that had several
    events, `packed_in` is its message id, and `place` the place of this one in it, from 1.
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
    content_encoding: str | None = None
    type: str | None = None
    app_id: str | None = None
    packed_in: str = ""
    place: int | None = None

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
    as an earlier rejection noted them; by default, they are those of the delivery.
    """
    undecodable = delivery.undecodable_headers or b""
    return Rejection(
        message_id=message_id,
        body=delivery.body,
        violations=tuple(violations),
        schema=schema,
        origin=origin or header.clip(_address(delivery), 2 * header.MAX_SHORT_TEXT),
        rejected_at=rejected_at,
        rejected_by=rejected_by,
        replays=header.read_count(delivery.headers, header.REPLAYS) or 0,
        published_at=header.read_time(delivery.headers, PUBLISHED_AT),
        headers=header.kept_headers(delivery.headers),
        content_type=header.short_text(delivery.content_type),
        correlation_id=header.short_text(delivery.correlation_id),
        raw_headers=raw_headers or undecodable[: header.MAX_RAW_HEADERS // 2].hex(),
        content_encoding=header.short_text(delivery.content_encoding),
        type=header.short_text(delivery.type),
        app_id=header.short_text(delivery.app_id),
        packed_in=header.read_text(delivery.headers, PACKED_IN, MAX_MESSAGE_ID),
        place=header.read_count(delivery.headers, PLACE),
    )


def message_id_of(delivery: Delivery, value: object = None) -> str:
    """What identifies a delivery everywhere: its message id, else the id in its body, else a hash.

    value: the parsed body, where it could be parsed.
    """
    given = delivery.message_id
    if given and len(given.encode()) <= MAX_MESSAGE_ID:
        return given
    return event_id_of(value) or id_from_body(delivery.body)


def to_message(rejection: Rejection, max_bytes: int = header.UNDIVIDED_BYTES) -> Message:
    """The message that parks a rejection.

    max_bytes: of its properties and headers; `Broker.max_properties_bytes`.
    """

    def build(bounds: header.Bounds) -> Message:
        headers: dict[str, HeaderValue] = {
            **bounds.kept(rejection.headers),
            header.CODE: header.clip(rejection.code, bounds.short_text),
            header.PATH: header.clip(rejection.path, bounds.text),
            header.REASON: header.clip(rejection.reason, bounds.text),
            header.VIOLATIONS: header.violations_to_json(rejection.violations, bounds),
            header.SCHEMA: header.clip(rejection.schema, bounds.text),
            header.ORIGIN: header.clip(rejection.origin, 2 * bounds.short_text),
            header.REJECTED_BY: header.clip(rejection.rejected_by, bounds.short_text),
            header.REPLAYS: rejection.replays,
        }
        if rejection.rejected_at is not None:
            headers[header.REJECTED_AT] = rejection.rejected_at
        if rejection.published_at is not None:
            headers[PUBLISHED_AT] = rejection.published_at
        if rejection.place is not None:
            headers[PACKED_IN] = header.clip(rejection.packed_in, bounds.short_text)
            headers[PLACE] = rejection.place
        if rejection.raw_headers:
            headers[header.RAW_HEADERS] = rejection.raw_headers[: bounds.raw_headers]
        return _message(rejection, headers, bounds)

    return header.fit(build, max_bytes)


def to_replay(rejection: Rejection, max_bytes: int = header.UNDIVIDED_BYTES) -> Message:
    """The message that puts a rejection back on arrivals.

    max_bytes: of its properties and headers; `Broker.max_properties_bytes`.
    """

    def build(bounds: header.Bounds) -> Message:
        headers: dict[str, HeaderValue] = {
            **bounds.kept(rejection.headers),
            header.REPLAYS: min(header.MAX_COUNT, rejection.replays + 1),
        }
        if rejection.published_at is not None:
            headers[PUBLISHED_AT] = rejection.published_at
        return _message(rejection, headers, bounds)

    return header.fit(build, max_bytes)


def from_delivery(delivery: Delivery, validator: Validator) -> Rejection:
    """The rejection that a message of the rejects queue is.

    One without dlmon's headers was dead-lettered by the broker (`undeliverable`) or published there
    by another program: `validator` then finds its violations (`foreign` where it is valid).
    """
    headers = delivery.headers
    violations = header.read_violations(headers)
    schema = header.read_text(headers, header.SCHEMA, header.MAX_REASON)
    at = header.read_time(headers, header.REJECTED_AT)
    origin = header.read_text(headers, header.ORIGIN, 2 * header.MAX_SHORT_TEXT)
    if not violations:
        violations = _find_violations(delivery, validator)
        schema = validator.schema.version
        if delivery.dead_letter is not None:
            at = header.time_or_none(delivery.dead_letter.at) if at is None else at
            origin = origin or header.clip(delivery.dead_letter.queue, header.MAX_SHORT_TEXT)
    # A look reads a great many rejects: only a body that has to identify itself is parsed.
    value = None if delivery.message_id else validator.validate(delivery.body).value
    return reject(
        delivery,
        violations,
        message_id=message_id_of(delivery, value),
        schema=schema,
        rejected_by=header.read_text(headers, header.REJECTED_BY, header.MAX_SHORT_TEXT),
        rejected_at=at,
        origin=origin,
        raw_headers=header.read_text(headers, header.RAW_HEADERS, header.MAX_RAW_HEADERS),
    )


def revalidate(
    rejection: Rejection, validator: Validator, body: bytes | None = None
) -> tuple[Violation, ...]:
    """The violations of a rejection today, or those that it would have with another body.

    What a store refused passes every schema: it stays a violation while the body is the same.
    """
    if body is not None and body != rejection.body:
        return validator.validate(body).violations
    return _violations_in(rejection, validator) or tuple(
        violation for violation in rejection.violations if violation.code in _DECIDED_BY_THE_STORE
    )


def _violations_in(rejection: Rejection, validator: Validator) -> tuple[Violation, ...]:
    """The violations of an event. Of a message with several, why it cannot be taken apart: each of
    its events has a verdict of its own once it is."""
    delivery = Delivery(
        rejection.body,
        rejection.message_id,
        rejection.headers or {},
        rejection.content_type,
        correlation_id=None,
        exchange="",
        routing_key="",
        delivery_count=0,
        token=None,
        content_encoding=rejection.content_encoding,
    )
    body = rejection.body
    if not is_one_event(delivery):
        contents = Unpacker(validator.schema, validator.max_message_bytes).unpack(delivery)
        if isinstance(contents, Violation):
            return (contents,)
        if isinstance(contents, Contents):
            if len(contents.bodies) > 1:
                return ()
            (body,) = contents.bodies
    return validator.validate(body).violations


def _address(delivery: Delivery) -> str:
    """Exchange and routing key; the default exchange has no name."""
    return f"{delivery.exchange} {delivery.routing_key}".lstrip()


def _message(
    rejection: Rejection, headers: Mapping[str, HeaderValue], bounds: header.Bounds
) -> Message:
    limit = bounds.short_text
    return Message(
        body=rejection.body,
        message_id=rejection.message_id,
        headers=headers,
        content_type=header.short_text(rejection.content_type, limit),
        correlation_id=header.short_text(rejection.correlation_id, limit),
        content_encoding=header.short_text(rejection.content_encoding, limit),
        type=header.short_text(rejection.type, limit),
        app_id=header.short_text(rejection.app_id, limit),
    )


def _find_violations(delivery: Delivery, validator: Validator) -> tuple[Violation, ...]:
    """The violations of a message that dlmon has not parked."""
    if delivery.undecodable_headers is not None:
        return (Violation(UNDECODABLE_HEADERS, "", "the header table cannot be decoded"),)
    if delivery.dead_letter is not None:
        letter = delivery.dead_letter
        reason = _DEAD_LETTER_REASONS.get(letter.reason, letter.reason)
        text = header.clip(f"dead-lettered from {letter.queue}: {reason}", header.MAX_REASON)
        return (Violation(UNDELIVERABLE, "", text),)
    found = validator.validate(delivery.body).violations
    return found or (
        Violation(FOREIGN, "", "published here by another program; the event itself is valid"),
    )
