"""From a load of messages to valid events on their way into a store, and to the invalid ones."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import NamedTuple

from dlmon.commands.completing import complete
from dlmon.commands.loads import Load, Slice
from dlmon.event import event_id_of
from dlmon.messages import Delivery
from dlmon.rejects.rejection import message_id_of
from dlmon.stores.base import Entry
from dlmon.unpacking.unpacker import Contents
from dlmon.validation.validator import Validator
from dlmon.validation.violations import UNDECODABLE_HEADERS, Violation

_UNDECODABLE_HEADERS = Violation(UNDECODABLE_HEADERS, "", "the header table cannot be decoded")


class Invalid(NamedTuple):
    """An invalid event as a delivery of its own. value: what it is as JSON, None if it is none."""

    delivery: Delivery
    violations: Sequence[Violation]
    value: object


class _Run(NamedTuple):
    """Entries, from number `first` on, that are the events `indexes` of one message."""

    first: int
    contents: Contents
    indexes: Sequence[int]


_first_of = attrgetter("first")


@dataclass(slots=True)
class ValidatedLoad:
    """Each event of a load is in one of `entries` and `invalid`. sources: of each entry, the
    message that it came in."""

    entries: list[Entry] = field(default_factory=list)
    sources: list[Delivery] = field(default_factory=list)
    invalid: list[Invalid] = field(default_factory=list)
    _runs: list[_Run] = field(default_factory=list)

    def delivery_of(self, number: int) -> Delivery:
        """The delivery of an entry, by its number, as if it had come alone."""
        at = bisect_right(self._runs, number, key=_first_of) - 1
        if at < 0:
            return self.sources[number]
        run = self._runs[at]
        return run.contents.delivery_of(run.indexes[number - run.first], self.entries[number].event)

    def add_whole(self, deliveries: Sequence[Delivery], validator: Validator) -> None:
        """Validate messages that are one event each. They come before all slices."""
        offset = validator.schema.assume_offset
        verdicts = validator.validate_all([delivery.body for delivery in deliveries])
        for delivery, (value, found) in zip(deliveries, verdicts, strict=True):
            if delivery.undecodable_headers is not None:
                self.invalid.append(Invalid(delivery, (_UNDECODABLE_HEADERS,), value))
            elif found:
                self.invalid.append(Invalid(delivery, found, value))
            else:
                complete(value, delivery.body, offset)
                event_id = event_id_of(value) or message_id_of(delivery)
                self.entries.append(Entry(event_id, delivery.body, value))
                self.sources.append(delivery)

    def add_slice(self, part: Slice, validator: Validator) -> None:
        """Validate events of a message that holds several."""
        contents, start, end = part
        offset = validator.schema.assume_offset
        bodies = contents.bodies[start:end]
        if contents.values is None:
            verdicts = validator.validate_all(bodies)
        else:
            verdicts = validator.validate_parsed(bodies, contents.values[start:end])
        indexes: list[int] = []
        first = len(self.entries)
        for index, (body, (value, found)) in enumerate(zip(bodies, verdicts, strict=True), start):
            if found:
                self.invalid.append(Invalid(contents.delivery_of(index, value), found, value))
                continue
            complete(value, body, offset)
            event_id = event_id_of(value) or message_id_of(contents.delivery_of(index, value))
            self.entries.append(Entry(event_id, body, value))
            indexes.append(index)
        self.sources += [contents.delivery] * len(indexes)
        self._runs.append(_Run(first, contents, indexes))


def validate_load(load: Load, validator: Validator) -> ValidatedLoad:
    """The verdicts on all events of a load."""
    validated = ValidatedLoad()
    validated.invalid += [
        Invalid(delivery, (violation,), None) for delivery, violation in load.broken
    ]
    if load.whole:
        validated.add_whole(load.whole, validator)
    for part in load.slices:
        validated.add_slice(part, validator)
    return validated
