"""Deliveries as RabbitMQ hands them out, and which of them are still to be settled."""

from __future__ import annotations

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeAlias

from dlmon.messages import DeadLetter, Delivery

DELIVERY_COUNT = "x-delivery-count"
_DEATHS = "x-death"

next_channel = itertools.count(1).__next__
"""A number for a channel that no other one of this process has."""


class RabbitMQToken(NamedTuple):
    """A delivery tag, and the number of the channel on which it means something."""

    channel: int
    tag: int


Received: TypeAlias = tuple[Any, Any, bytes]
"""Method, properties and body, as pika passes a message to a callback."""

Settlement: TypeAlias = tuple[int, bool]
"""An acknowledgement: a delivery tag, and whether it stands for all tags up to it too."""


def to_deliveries(received: Iterable[Received], channel: int) -> list[Delivery]:
    """The deliveries that were received on a channel."""
    deliveries: list[Delivery] = []
    for method, properties, body in received:
        headers: Mapping[str, object] = properties.headers
        count = headers.get(DELIVERY_COUNT)
        if count is None and method.redelivered:
            count = 1  # a classic queue does not count
        deliveries.append(
            Delivery(
                body,
                properties.message_id,
                headers,
                properties.content_type,
                properties.correlation_id,
                method.exchange,
                method.routing_key,
                count if type(count) is int and count > 0 else 0,
                RabbitMQToken(channel, method.delivery_tag),
                _dead_letter(headers[_DEATHS]) if _DEATHS in headers else None,
                properties.undecodable,
                properties.content_encoding,
                properties.type,
                properties.app_id,
            )
        )
    return deliveries


class Unsettled:
    """The tags that were handed out on one channel and are not settled.

    Kept as ranges: a look holds a million of them, and nearly all follow each other.
    """

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, tags: Sequence[int]) -> None:
        """Further tags, each larger than all before."""
        for first, last in (
            [(tags[0], tags[-1])] if _is_range(tags) else zip(tags, tags, strict=True)
        ):
            if self._lasts and self._lasts[-1] == first - 1:
                self._lasts[-1] = last
            else:
                self._firsts.append(first)
                self._lasts.append(last)
        self._count += len(tags)

    def settle(self, tags: Sequence[int]) -> Iterator[Settlement]:
        """The acknowledgements that settle these tags and no others. Tags that are settled already
        need none."""
        whole = (self._firsts[0], self._lasts[0]) if self._firsts else None
        if _is_range(tags) and (tags[0], tags[-1]) == whole:
            # A whole batch, as nearly always.
            del self._firsts[0], self._lasts[0]
            self._count -= len(tags)
            yield tags[-1], True
            return
        settled = [tag for tag in sorted(set(tags)) if self._remove(tag)]
        oldest = bisect_left(settled, self._firsts[0]) if self._firsts else len(settled)
        if oldest:
            yield settled[oldest - 1], True
        for tag in settled[oldest:]:
            yield tag, False

    def _remove(self, tag: int) -> bool:
        at = bisect_right(self._firsts, tag) - 1
        if at < 0 or self._lasts[at] < tag:
            return False
        if self._firsts[at] == self._lasts[at]:
            del self._firsts[at], self._lasts[at]
        elif tag == self._firsts[at]:
            self._firsts[at] = tag + 1
        elif tag == self._lasts[at]:
            self._lasts[at] = tag - 1
        else:
            self._firsts.insert(at + 1, tag + 1)
            self._lasts.insert(at, tag - 1)
        self._count -= 1
        return True


def merge_settlements(settlements: Sequence[Settlement]) -> list[Settlement]:
    """Fewer acknowledgements that do the same as these.

    A quorum queue takes few at a time, and those that wait when the channel is closed are lost
    (`quorum_commands_soft_limit`): what they acknowledge would be delivered again.
    """
    last = max((tag for tag, all_up_to_it in settlements if all_up_to_it), default=None)
    if last is None:
        return list(settlements)
    return [(last, True), *(one for one in settlements if one[0] > last)]


def _is_range(tags: Sequence[int]) -> bool:
    """Whether the tags follow each other, with none between them."""
    return bool(tags) and list(tags) == list(range(tags[0], tags[-1] + 1))


def _dead_letter(deaths: object) -> DeadLetter | None:
    """The last time that a broker moved a message. Any publisher can have forged it."""
    last = deaths[0] if isinstance(deaths, list) and deaths else None
    if not isinstance(last, dict):
        return None
    queue, reason, count, at = (last.get(name) for name in ("queue", "reason", "count", "time"))
    if not isinstance(queue, str) or not isinstance(reason, str) or not isinstance(count, int):
        return None
    return DeadLetter(queue, reason, count, _milliseconds(at) if isinstance(at, datetime) else None)


def _milliseconds(at: datetime) -> int:
    return int(at.replace(tzinfo=at.tzinfo or UTC).timestamp() * 1000)
