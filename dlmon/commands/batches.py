"""How many events `consume` handles together, and which of them it handles alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import attrgetter
from random import shuffle

from dlmon.messages import Delivery

BATCH = 2_000
"""Events that are stored in one commit and acknowledged together."""

PORTION_BYTES = 8 * 1024 * 1024
"""Bytes of bodies beyond which a batch is handled in portions: validating and storing it takes
several times as much memory."""

ISOLATED_FROM = 2
"""A delivery that came back so often may be what kills consumers: it is handled alone."""

delivery_count_of = attrgetter("delivery_count")
_body_of = attrgetter("body")


def portions(deliveries: Sequence[Delivery]) -> Iterator[Sequence[Delivery]]:
    """The deliveries that are handled together: suspects alone, the others by size.

    An event that kills the process returns all deliveries in hand. Those that came back several
    times are handled one by one in random order, so that on average half of the innocent ones are
    settled before the process dies again.
    """
    if not deliveries:
        return
    if (
        max(map(delivery_count_of, deliveries)) < ISOLATED_FROM
        and sum(map(len, map(_body_of, deliveries))) <= PORTION_BYTES
    ):
        yield deliveries  # nearly always
        return
    suspects: list[Delivery] = []
    portion: list[Delivery] = []
    size = 0
    for delivery in deliveries:
        if delivery.delivery_count >= ISOLATED_FROM:
            suspects.append(delivery)
            continue
        size += len(delivery.body)
        if size > PORTION_BYTES and portion:
            yield portion
            portion, size = [], len(delivery.body)
        portion.append(delivery)
    if portion:
        yield portion
    shuffle(suspects)
    for suspect in suspects:
        yield [suspect]
