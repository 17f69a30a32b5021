"""Deliveries as RabbitMQ hands them out, and which of them are still to be settled."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from dlmon.brokers.base import DeadLetter, Delivery

DELIVERY_COUNT = "x-delivery-count"
_DEATHS = "x-death"


next_channel = itertools.count(1).__next__
"""A number for a channel that no other one of this process has."""


class Token(NamedTuple):
    """A delivery tag, and the number of the channel on which it means something."""

    channel: int
    tag: int


class Received(NamedTuple):
    """A message as pika hands it over. Few of them are looked at in the link's thread."""

    method: Any
    properties: Any
    body: bytes


def to_delivery(received: Received, channel: int) -> Delivery:
    """The delivery that was received on a channel."""
    method, properties, body = received
    headers: Mapping[str, object] = properties.headers or {}
    count = headers.get(DELIVERY_COUNT)
    # By position, which takes half the time: one is made for every message.
    return Delivery(
        body,
        properties.message_id,
        headers,
        properties.content_type,
        properties.correlation_id,
        method.exchange,
        method.routing_key,
        count if type(count) is int and count > 0 else 0,
        Token(channel, method.delivery_tag),
        _dead_letter(headers[_DEATHS]) if _DEATHS in headers else None,
        properties.undecodable,
    )


class Unsettled:
    """The tags that were handed out on one channel and are not settled, in their order."""

    def __init__(self) -> None:
        self._tags: dict[int, None] = {}

    def __len__(self) -> int:
        return len(self._tags)

    def add(self, tags: Iterable[int]) -> None:
        self._tags.update(dict.fromkeys(tags))

    def settle(self, tags: Iterable[int]) -> Iterator[tuple[int, bool]]:
        """The acknowledgements, as tag and "all up to it too", that settle these tags and no
        others. Tags that are settled already need none."""
        wanted = {tag for tag in tags if tag in self._tags}
        oldest = list(itertools.takewhile(wanted.__contains__, self._tags))
        if oldest:
            yield oldest[-1], len(oldest) > 1
        for tag in sorted(wanted.difference(oldest)):
            yield tag, False
        for tag in wanted:
            del self._tags[tag]


def _dead_letter(deaths: object) -> DeadLetter | None:
    """The last time that a broker moved a message. Anybody could have made up what it says."""
    last = deaths[0] if isinstance(deaths, list) and deaths else None
    if not isinstance(last, dict):
        return None
    queue, reason, count, at = (last.get(name) for name in ("queue", "reason", "count", "time"))
    if not isinstance(queue, str) or not isinstance(reason, str) or not isinstance(count, int):
        return None
    return DeadLetter(queue, reason, count, _milliseconds(at) if isinstance(at, datetime) else None)


def _milliseconds(at: datetime) -> int:
    return int(at.replace(tzinfo=at.tzinfo or UTC).timestamp() * 1000)
