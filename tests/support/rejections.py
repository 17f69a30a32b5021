"""Rejections, made as `consume` makes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from dlmon.brokers.base import Broker
from dlmon.messages import Delivery, Queue
from dlmon.rejects.rejection import Rejection, message_id_of, reject, to_message
from dlmon.validation.schema import load_schema
from dlmon.validation.validator import Validator
from dlmon.validation.violations import Violation
from tests.support.events import make_body

AT = 1_772_334_000_000
"""2026-03-01T03:00:00Z, in milliseconds since the epoch."""

VALIDATOR = Validator(load_schema())


def delivery(
    body: bytes,
    message_id: str | None = None,
    headers: Mapping[str, object] | None = None,
    **properties: Any,
) -> Delivery:
    """A delivery of arrivals."""
    return Delivery(
        body=body,
        message_id=message_id,
        headers=headers or {},
        content_type="application/json",
        correlation_id=None,
        exchange="dlmon",
        routing_key="download.completed",
        delivery_count=0,
        token=None,
    )._replace(**properties)


def rejection(
    body: bytes,
    *violations: Violation,
    at: int | None = AT,
    message_id: str | None = None,
    headers: Mapping[str, object] | None = None,
) -> Rejection:
    """A rejection of a body, with these violations or with those that the judge finds."""
    verdict = VALIDATOR.validate(body)
    found = delivery(body, message_id, headers)
    return reject(
        found,
        violations or [replace(one, offset=None) for one in verdict.violations],
        message_id=message_id_of(found, verdict.value),
        schema=VALIDATOR.schema.version,
        rejected_by="consumer-1",
        rejected_at=at,
    )


def slow(**changes: Any) -> Rejection:
    """The rejection of an event whose speed is a text."""
    return rejection(make_body(download_speed="25.5", **changes))


def park(broker: Broker, rejections: Iterable[Rejection]) -> None:
    """Put rejections into rejects."""
    broker.publish(Queue.REJECTS, [[to_message(one) for one in rejections]])


def contents(broker: Broker, queue: Queue) -> list[Delivery]:
    """Everything in a queue, which keeps it."""
    found: list[Delivery] = []
    with broker.open_reader(queue) as reader:
        while deliveries := reader.read(1000, timeout=1.0):
            found += deliveries
    return found


def ids(broker: Broker, queue: Queue) -> list[str]:
    """The message ids in a queue, sorted."""
    return sorted(str(one.message_id) for one in contents(broker, queue))
