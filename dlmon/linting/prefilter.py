"""Finds the events of a block that may be invalid, at little more than the cost of parsing.

Nearly all events of most files are valid. So several are parsed and validated at once, as one
array; only where something is wrong with one of them is each validated by itself.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import accumulate
from typing import Any

import orjson

from dlmon.event_files.block import WHITESPACE, Block
from dlmon.validation.duplicate_keys import count_strings, may_have_duplicate_keys
from dlmon.validation.json_positions import count_rare
from dlmon.validation.validator import MAX_DEPTH, Validator, may_be_too_deep

_BYTES_AT_ONCE = 8 * 1024
"""Values of this many bytes fit into a processor's cache, and often all of them are valid."""

_EVENTS_AT_ONCE = 40
_SAMPLE = 2

UNKNOWN: Any = []
"""In place of a value: the event is not JSON, or may break more rules than those of the schema.

Compared by identity. It is a list, so that jsonschema-rs can validate it among other values.
"""


class Candidates:
    """Those of a number of events that may be invalid. The others are valid.

    values: of each candidate the parsed value if it can break only rules of the schema, else
    `UNKNOWN`.
    """

    def __init__(
        self, events: int, part: _Part, indexes: Sequence[int], values: Sequence[Any]
    ) -> None:
        self.events = events
        self.values = values
        self._part = part
        self._indexes = indexes

    @cached_property
    def spans(self) -> Sequence[tuple[int, int]]:
        """The bytes of each candidate in the block, end exclusive."""
        return self._part.spans(self._indexes)


class Prefilter:
    """Filters blocks by one schema."""

    def __init__(self, validator: Validator) -> None:
        self._all_valid = validator.schema.all_valid
        self._is_valid = validator.schema.compiled.is_valid
        self._max_bytes = validator.max_event_bytes
        self._fewest_strings = validator.schema.fewest_strings
        # Stands between any two events of an array. It is random, so that no event contains it:
        # if every second element is the mark, each of the others is one whole event.
        self._mark = os.urandom(8).hex()
        self._separator = b',"%b",' % self._mark.encode()
        self._most_are_invalid = False

    def candidates(self, block: Block) -> Iterator[Candidates]:
        """The candidates of one part of the block after the other, so that few values are held in
        memory at once."""
        parts = _lines(block.data) if block.spans is None else _values(block.data, block.spans)
        return map(self._filter, parts)

    def _filter(self, part: _Part) -> Candidates:
        joined, number = part.joined(self._separator)
        text = b"[%b]" % joined
        if (parsed := self._parse(text, number)) is None:
            return self._filter_each(part)
        values = parsed[::2]
        invalid = self._invalid_of(values)
        few = values if len(invalid) == number else [values[index] for index in invalid]
        candidates = Candidates(number, part, invalid, few)
        if not invalid and self._have_fewest_strings(joined, number):
            return candidates
        if self._are_small(joined, part) and not may_have_duplicate_keys(text, parsed):
            return candidates
        return self._filter_each(part)

    def _have_fewest_strings(self, joined: bytes, number: int) -> bool:
        """Whether valid events are small and have no key twice, by the number of their strings."""
        return (
            # Each level of nesting is an array, or has a key.
            b"[" not in joined
            and self._fewest_strings < MAX_DEPTH
            and len(joined) <= self._max_bytes
            and count_strings(joined) - (number - 1) == self._fewest_strings * number
        )

    def _invalid_of(self, values: list[Any]) -> Sequence[int]:
        """The indexes of values that may be invalid."""
        is_valid = self._is_valid
        if self._most_are_invalid:
            # All are candidates: explaining or counting their violations finds the valid ones.
            self._most_are_invalid = not self._all_valid(values[:_SAMPLE])
            return range(len(values))
        if self._all_valid(values):
            return ()
        invalid = [index for index, value in enumerate(values) if not is_valid(value)]
        self._most_are_invalid = 2 * len(invalid) > len(values)
        return invalid

    def _parse(self, text: bytes, number: int) -> list[Any] | None:
        """The parsed events with a mark between any two; None unless each is one value."""
        try:
            values: list[Any] = orjson.loads(text)
        except orjson.JSONDecodeError:
            return None
        if len(values) != 2 * number - 1 or values[1::2].count(self._mark) != number - 1:
            return None
        return values

    def _are_small(self, joined: bytes, part: _Part) -> bool:
        """Whether none of some texts is over a limit: of its size, or of its depth."""
        return (
            len(joined) <= self._max_bytes
            and count_rare(joined, b"{") + count_rare(joined, b"[") <= MAX_DEPTH
        ) or all(map(self._is_small, part.texts()))

    def _is_small(self, text: bytes) -> bool:
        return len(text) <= self._max_bytes and not may_be_too_deep(text)

    def _known(self, text: bytes, value: Any) -> Any:
        """The value of a text if it can break only rules of the schema, else `UNKNOWN`."""
        sound = self._is_small(text) and not may_have_duplicate_keys(text, value)
        return value if sound else UNKNOWN

    def _filter_each(self, part: _Part) -> Candidates:
        texts = part.texts()
        blank = 0
        indexes: list[int] = []
        values: list[Any] = []
        for index, text in enumerate(texts):
            try:
                value = orjson.loads(text) if len(text) <= self._max_bytes else UNKNOWN
            except orjson.JSONDecodeError:
                if not text.strip(WHITESPACE):
                    blank += 1
                    continue
                value = UNKNOWN
            if value is not UNKNOWN:
                value = self._known(text, value)
            if value is UNKNOWN or not self._is_valid(value):
                indexes.append(index)
                values.append(value)
        return Candidates(len(texts) - blank, part, indexes, values)


class _Part(ABC):
    """Some texts of a block, which has `data`."""

    data: bytes

    @abstractmethod
    def joined(self, separator: bytes) -> tuple[bytes, int]:
        """All texts in one, and how many there are."""

    @abstractmethod
    def texts(self) -> Sequence[bytes]:
        """Each text."""

    @abstractmethod
    def spans(self, indexes: Sequence[int]) -> Sequence[tuple[int, int]]:
        """The bytes of some texts in the data, end exclusive. indexes: in ascending order."""


class _Lines(_Part):
    def __init__(self, data: bytes, start: int, end: int) -> None:
        self.data = data
        self._start = start
        self._text = data[start:end]

    def joined(self, separator: bytes) -> tuple[bytes, int]:
        joined = self._text.replace(b"\n", separator)
        return joined, 1 + (len(joined) - len(self._text)) // (len(separator) - 1)

    def texts(self) -> Sequence[bytes]:
        return self._text.split(b"\n")

    def spans(self, indexes: Sequence[int]) -> Sequence[tuple[int, int]]:
        if not indexes:
            return ()
        lengths = map(len, self._text.split(b"\n", indexes[-1] + 1))
        ends = list(accumulate(lengths, initial=self._start))
        # A line is preceded by as many line ends as lines.
        return [(ends[index] + index, ends[index + 1] + index) for index in indexes]


class _Values(_Part):
    def __init__(self, data: bytes, spans: Sequence[tuple[int, int]]) -> None:
        self.data = data
        self._spans = spans

    def joined(self, separator: bytes) -> tuple[bytes, int]:
        return separator.join(self.texts()), len(self._spans)

    def texts(self) -> Sequence[bytes]:
        return [self.data[start:end] for start, end in self._spans]

    def spans(self, indexes: Sequence[int]) -> Sequence[tuple[int, int]]:
        return [self._spans[index] for index in indexes]


def _lines(data: bytes) -> Iterator[_Part]:
    at = 0
    while at < len(data):
        end = data.rfind(b"\n", at, at + _BYTES_AT_ONCE)
        if end < 0 and (end := data.find(b"\n", at)) < 0:
            end = len(data)
        yield _Lines(data, at, end)
        at = end + 1


def _values(data: bytes, spans: Sequence[tuple[int, int]]) -> Iterator[_Part]:
    for first in range(0, len(spans), _EVENTS_AT_ONCE):
        yield _Values(data, spans[first : first + _EVENTS_AT_ONCE])
