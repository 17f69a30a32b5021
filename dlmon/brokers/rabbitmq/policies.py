"""What policies of RabbitMQ, meant for other queues, do to dlmon's."""

from __future__ import annotations

import re
import shlex
from typing import NamedTuple

from dlmon.brokers.base import DELIVERY_LIMIT
from dlmon.brokers.rabbitmq.management import QueueDetails
from dlmon.config.names import Names
from dlmon.messages import Queue

LOSING = "max-length, max-length-bytes, message-ttl, expires or delivery-limit"
"""Keys of policies that drop messages."""

_MANY = 1_000_000  # deliveries, which no look and no crash comes near


class PolicyEffect(NamedTuple):
    """What a policy does. loses: messages go, or the queue; else it only gets in the way."""

    text: str
    loses: bool


def effects(queue: Queue, details: QueueDetails) -> list[PolicyEffect]:
    """What the policies that apply to a queue do to it."""
    found: list[PolicyEffect] = []
    effective = details.effective
    overflow = details.arguments.get("x-overflow") or effective.get("overflow") or "drop-head"
    for key, unit in (("max-length", "messages"), ("max-length-bytes", "bytes")):
        if key not in effective:
            continue
        if overflow == "reject-publish":
            text = f"{key}: more than {effective[key]} {unit} are refused, and wait elsewhere"
            found.append(PolicyEffect(text, loses=False))
        else:
            text = f"{key}: the oldest of more than {effective[key]} {unit} are dropped"
            found.append(PolicyEffect(text, loses=True))
    if "message-ttl" in effective:
        goes = "are dropped" if queue is Queue.REJECTS else "go to rejects, valid ones too"
        text = f"message-ttl: messages that wait for {effective['message-ttl']} ms {goes}"
        found.append(PolicyEffect(text, loses=True))
    if "expires" in effective:
        text = f"expires: the queue is deleted when it is not used for {effective['expires']} ms"
        found.append(PolicyEffect(text, loses=True))
    limit = effective.get("delivery-limit")
    if isinstance(limit, int) and limit < 0:
        text = f"delivery-limit: {limit} is none for RabbitMQ 4, and reached at once for RabbitMQ 3"
        found.append(PolicyEffect(text, loses=False))
    elif isinstance(limit, int) and limit < (_MANY if queue is Queue.REJECTS else DELIVERY_LIMIT):
        text = f"delivery-limit: a message goes at delivery {limit + 1}"
        if queue is Queue.REJECTS:
            text += ", and each look is one"
        found.append(PolicyEffect(text, loses=queue is Queue.REJECTS))
    if queue is Queue.REJECTS and "dead-letter-exchange" in effective:
        exchange = effective["dead-letter-exchange"]
        text = f"dead-letter-exchange: rejects that are dropped go to the exchange {exchange!r}"
        found.append(PolicyEffect(text, loses=False))
    return found


def exempting(names: Names) -> str:
    """A command that exempts the queues: of all policies, the one of highest priority applies."""
    queues = [name for _, name in names.queues()]
    prefix = f"{names.namespace}."
    shared = prefix if all(name.startswith(prefix) for name in queues) else ""
    others = "|".join(re.escape(name.removeprefix(shared)) for name in queues)
    pattern = shlex.quote(f"^{re.escape(shared)}({others})$")
    return (
        f"rabbitmqctl set_policy --apply-to queues --priority 1000 {names.namespace} {pattern} "
        """'{"overflow":"reject-publish"}'"""
    )
