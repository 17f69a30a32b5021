"""Which events of a block may be invalid, at little more than what parsing costs.

Nearly all events of most files are valid. So some are parsed and judged at once, as one array, and
only where something is wrong with one of them are they looked at one by one.
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
from dlmon.validation.validator import MAX_DEPTH, Validator

_BYTES_AT_ONCE = 8 * 1024
"""The values fit into a processor's cache, and often no event among so few is invalid."""

_EVENTS_AT_ONCE = 40
_SAMPLE = 2

UNKNOWN: Any = []
"""In place of a value: there is none, or more can be wrong than what the schema says.

Told by identity. It is a list, so that it can be judged among others.
"""


class Screened:
    """What is in a part of a block: so many events, every invalid one among the suspects.

    suspects: the value of each, which is what was parsed, if only the schema can be broken; else
    `UNKNOWN`.
    """

    def __init__(
        self, events: int, part: _Part, indexes: Sequence[int], suspects: Sequence[Any]
    ) -> None:
        self.events = events
        self.suspects = suspects
        self._part = part
        self._indexes = indexes

    @cached_property
    def spans(self) -> Sequence[tuple[int, int]]:
        """The bytes of each suspect in the block, end exclusive."""
        return self._part.spans(self._indexes)


class Prefilter:
    """Screens blocks by one schema."""

    def __init__(self, validator: Validator) -> None:
        self._all_valid = validator.schema.all_valid
        self._is_valid = validator.schema.compiled.is_valid
        self._max_bytes = validator.max_event_bytes
        self._fewest_strings = validator.schema.fewest_strings
        # Between two events of an array stands this. Nobody can know it, and so no event contains
        # it: where all marks are elements of the array, each second one, the others are one event
        # each.
        self._mark = os.urandom(8).hex()
        self._separator = b',"%b",' % self._mark.encode()
        self._most_are_invalid = False

    def screen(self, block: Block) -> Iterator[Screened]:
        """What is to be looked at again, part by part: no more values are held at once."""
        parts = _lines(block.data) if block.spans is None else _values(block.data, block.spans)
        return map(self._screen, parts)

    def _screen(self, part: _Part) -> Screened:
        joined, number = part.joined(self._separator)
        text = b"[%b]" % joined
        if (parsed := self._parse(text, number)) is None:
            return self._screen_each(part)
        values = parsed[::2]
        invalid = self._invalid_of(values)
        suspects = values if len(invalid) == number else [values[index] for index in invalid]
        screened = Screened(number, part, invalid, suspects)
        if not invalid and self._have_fewest_strings(joined, number):
            return screened
        if self._are_small(joined, part) and not may_have_duplicate_keys(text, parsed):
            return screened
        return self._screen_each(part)

    def _have_fewest_strings(self, joined: bytes, number: int) -> bool:
        """Whether valid events are small, and have no key twice, since there is no string more."""
        return (
            # Each level of nesting is an array, or has a key.
            b"[" not in joined
            and self._fewest_strings < MAX_DEPTH
            and len(joined) <= self._max_bytes
            and count_strings(joined) - (number - 1) == self._fewest_strings * number
        )

    def _invalid_of(self, values: list[Any]) -> Sequence[int]:
        """Which values may be invalid."""
        is_valid = self._is_valid
        if self._most_are_invalid:
            # Whoever tells what is wrong with each of them will see that some are valid.
            self._most_are_invalid = not self._all_valid(values[:_SAMPLE])
            return range(len(values))
        if self._all_valid(values):
            return ()
        invalid = [index for index, value in enumerate(values) if not is_valid(value)]
        self._most_are_invalid = 2 * len(invalid) > len(values)
        return invalid

    def _parse(self, text: bytes, number: int) -> list[Any] | None:
        """The events in an array, and a mark between any two; None unless each is one value."""
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
        return len(text) <= self._max_bytes and (
            # Each level takes two brackets.
            len(text) <= 2 * MAX_DEPTH or text.count(b"{") + text.count(b"[") <= MAX_DEPTH
        )

    def _known(self, text: bytes, value: Any) -> Any:
        """The value of a text, if there is nothing wrong with it but what the schema says."""
        sound = self._is_small(text) and not may_have_duplicate_keys(text, value)
        return value if sound else UNKNOWN

    def _screen_each(self, part: _Part) -> Screened:
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
        return Screened(len(texts) - blank, part, indexes, values)


class _Part(ABC):
    """Some texts of a block, which has `data`."""

    data: bytes

    @abstractmethod
    def joined(self, separator: bytes) -> tuple[bytes, int]:
        """All of them, and how many they are."""

    @abstractmethod
    def texts(self) -> Sequence[bytes]:
        """Each of them."""

    @abstractmethod
    def spans(self, indexes: Sequence[int]) -> Sequence[tuple[int, int]]:
        """The bytes of some of them in the data. indexes: in ascending order."""


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
        # In front of a line stand as many line ends as lines.
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
