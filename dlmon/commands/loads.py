"""What `consume` stores in one commit: events of several messages, or of a part of a large one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from dlmon.commands.batches import PORTION_BYTES
from dlmon.messages import Delivery
from dlmon.unpacking.unpacker import Contents, Unpacker, is_one_event
from dlmon.validation.violations import Violation


class Slice(NamedTuple):
    """The events `start` to `end`, exclusive, of a message that holds several."""

    contents: Contents
    start: int
    end: int


@dataclass(slots=True)
class Load:
    """Events that are stored in one commit, of any number of messages, or of a part of one.

    whole: messages that are one event as they are. slices: of those that hold several. broken:
    those that cannot be taken apart. completed: the messages of which no event is left.
    """

    whole: Sequence[Delivery] = ()
    slices: list[Slice] = field(default_factory=list)
    broken: list[tuple[Delivery, Violation]] = field(default_factory=list)
    completed: Sequence[Delivery] = ()


def loads(deliveries: Sequence[Delivery], unpacker: Unpacker, max_events: int) -> Iterator[Load]:
    """The events of deliveries, at most `max_events` together, and as few bytes as `portions` has.

    A message is taken apart when its turn comes, so that one is in memory at a time.
    """
    if all(map(is_one_event, deliveries)):
        yield Load(deliveries, completed=deliveries)  # nearly always
        return
    load = _GrowingLoad(max_events)
    for delivery in deliveries:
        if is_one_event(delivery) or delivery.undecodable_headers is not None:
            contents = None
        else:
            contents = unpacker.unpack(delivery)
        if isinstance(contents, Contents):
            start = 0
            while start < len(contents.bodies):
                if load.is_full:
                    yield load.take()
                start = load.add(contents, start)
            load.completed.append(delivery)
            continue
        if load.is_full:
            yield load.take()
        if contents is None:
            load.add_whole(delivery)
        else:
            load.add_broken(delivery, contents)
    yield load.take()


class _GrowingLoad:
    def __init__(self, max_events: int) -> None:
        self._max_events = max_events
        self._reset()

    def _reset(self) -> None:
        self._whole: list[Delivery] = []
        self._slices: list[Slice] = []
        self._broken: list[tuple[Delivery, Violation]] = []
        self.completed: list[Delivery] = []
        self._room = self._max_events
        self._bytes = 0

    @property
    def is_full(self) -> bool:
        return self._room <= 0 or self._bytes >= PORTION_BYTES

    def take(self) -> Load:
        """What was added since the last call."""
        load = Load(self._whole, self._slices, self._broken, self.completed)
        self._reset()
        return load

    def add(self, contents: Contents, start: int) -> int:
        """Add the events from `start` for which there is room; returns the first after them."""
        end = min(len(contents.bodies), start + self._room)
        self._slices.append(Slice(contents, start, end))
        self._room -= end - start
        self._bytes += sum(map(len, contents.bodies[start:end]))
        return end

    def add_whole(self, delivery: Delivery) -> None:
        self._whole.append(delivery)
        self._count(delivery)

    def add_broken(self, delivery: Delivery, violation: Violation) -> None:
        self._broken.append((delivery, violation))
        self._count(delivery)

    def _count(self, delivery: Delivery) -> None:
        self.completed.append(delivery)
        self._room -= 1
        self._bytes += len(delivery.body)
