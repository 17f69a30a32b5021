"""What protects the messages of a queue that somebody else declared, and what does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from dlmon.brokers.rabbitmq import policies
from dlmon.brokers.rabbitmq.management import QueueDetails
from dlmon.messages import Queue

_CLASSIC = (
    "it is on one node, and counts no deliveries: an event that crashes consumers comes back each "
    "time"
)
_NO_RETENTION = "no x-max-age and no x-max-length-bytes: it grows until the disk is full"
_TRANSIENT = "it is not durable: it is gone, with all that is in it, when RabbitMQ restarts"
_AUTO_DELETE = "auto-delete: it is deleted once nothing consumes from it"
_NO_DEAD_LETTERING = "no dead-lettering: what RabbitMQ expires or gives up on is lost"
_AT_MOST_ONCE = "dead-lettering is at-most-once: what is dead-lettered can be lost"
_DEFAULT_LIMIT = (
    "no x-delivery-limit: from RabbitMQ 4 on a message goes after 20 looks, each of which is a "
    "delivery"
)


def weaknesses(queue: Queue, details: QueueDetails) -> list[str]:
    """What could lose or hold messages of a queue, by what it was declared with; empty if nothing.

    What policies do is `policies.effects`.
    """
    declared = {name.removeprefix("x-"): value for name, value in details.arguments.items()}
    effects = policies.effects(queue, replace(details, effective=declared))
    return [*_by_kind(queue, details), *(effect.text for effect in effects)]


def _by_kind(queue: Queue, details: QueueDetails) -> Iterator[str]:
    defined = {*details.arguments, *(f"x-{name}" for name in details.effective)}
    if details.kind == "stream":
        if not {"x-max-age", "x-max-length-bytes"} & defined:
            yield _NO_RETENTION
        return
    if details.kind == "classic":
        yield _CLASSIC
    if not details.durable:
        yield _TRANSIENT
    if details.auto_delete:
        yield _AUTO_DELETE
    if queue is Queue.REJECTS:
        if details.kind == "quorum" and "x-delivery-limit" not in defined:
            yield _DEFAULT_LIMIT
    elif "x-dead-letter-exchange" not in defined:
        yield _NO_DEAD_LETTERING
    elif details.kind == "quorum" and "x-dead-letter-strategy" not in defined:
        yield _AT_MOST_ONCE
