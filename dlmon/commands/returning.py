"""Rejects that come back to arrivals, and would be parked again and again.

An operator's binding or policy can move what is parked to arrivals: `download.#` bound to the
arrivals queue, or a policy that dead-letters from rejects. Each turn parks them once more.

A rejection is known to come back when its headers have the id and the time that this consumer gave
it: from outside, neither can be guessed. What other programs move from rejects to arrivals by hand
is thus parked again, and only stopped when that goes on.
"""

from __future__ import annotations

from collections.abc import Sequence

from dlmon.errors import RejectsReturned
from dlmon.messages import Delivery
from dlmon.rejects.headers import REJECTED_AT
from dlmon.rejects.rejection import Rejection

_REMEMBERED = 50_000
"""Rejections that are remembered, the newest; each takes some 300 bytes."""

_MAX_RETURNS = 3
"""How often a rejection comes back before the consumer stops. Once is enough for one that was
routed to arrivals with the routing key of rejects: only a binding does that, and at once."""


class ReturningRejects:
    """Remembers what this consumer has parked."""

    def __init__(self, rejects_key: str) -> None:
        """rejects_key: the routing key of what is parked."""
        self._rejects_key = rejects_key
        self._returns: dict[tuple[str, int | None], int] = {}  # by message id and time

    def is_loop(self, delivery: Delivery, rejection: Rejection) -> bool:
        """Note that a delivery is about to be parked. True when it comes back for ever.

        rejection: the new one, of the delivery.
        """
        returns = 0
        if REJECTED_AT in delivery.headers:
            before = delivery.headers[REJECTED_AT]
            known = self._returns.pop((rejection.message_id, _whole(before)), None)
            returns = 0 if known is None else known + 1
        if returns >= (1 if self._was_bound(delivery) else _MAX_RETURNS):
            return True
        self._returns[rejection.message_id, rejection.rejected_at] = returns
        if len(self._returns) > _REMEMBERED:
            del self._returns[next(iter(self._returns))]
        return False

    def error(self, deliveries: Sequence[Delivery]) -> RejectsReturned:
        """The error for deliveries that come back for ever."""
        example = deliveries[0]
        if self._was_bound(example):
            cause = (
                f"A binding routes {example.routing_key} to the arrivals queue, too, as download.# "
                "does: remove it, since arrivals needs the routing key of events alone."
            )
        elif example.dead_letter is not None:
            letter = example.dead_letter
            cause = (
                f"RabbitMQ dead-letters them from {letter.queue} ({letter.reason}): exempt the "
                "rejects queue from the policy that does."
            )
        else:
            cause = "A policy or a program moves them there: exempt the rejects queue from it."
        return RejectsReturned(
            f"Rejects come back to arrivals, and would be parked again and again. {cause} "
            f"{len(deliveries)} of them were left in arrivals."
        )

    def _was_bound(self, delivery: Delivery) -> bool:
        return delivery.routing_key == self._rejects_key


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) else None
