"""Which events of a block may be invalid, at little more than what parsing costs.

Nearly all events of most files are valid. So some are parsed and judged at once, as one array, and
only where something is wrong with one of them are they looked at one by one.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import orjson

from dlmon.event_files.block import WHITESPACE, Block
from dlmon.json_text import count_strings
from dlmon.validation import MAX_DEPTH, Validator

_BYTES_AT_ONCE = 8 * 1024
"""The values fit into a processor's cache, and often no event among so few is invalid."""

_EVENTS_AT_ONCE = 40
_RARE = 8  # one in so many
_SAMPLE = 8

_DIALECT = "https://json-schema.org/draft/2020-12/schema"

UNKNOWN: Any = object()
"""In place of a value: there is none, or more can be wrong than what the schema says."""


class Suspect(NamedTuple):
    """An event that may be invalid: bytes `start` to `end` of its block, exclusive.

    value: what was parsed, if only the schema can be broken; else `UNKNOWN`.
    """

    start: int
    end: int
    value: Any


class Screened(NamedTuple):
    """What is in a part of a block. Every invalid event is among the suspects."""

    events: int
    suspects: list[Suspect]


class Screener:
    """Screens blocks by one schema."""

    def __init__(self, validator: Validator) -> None:
        self._all_valid = validator.schema.all_valid
        self._is_valid = validator.schema.compiled.is_valid
        self._max_bytes = validator.max_event_bytes
        self._fewest_strings = _fewest_strings(validator.schema.document)
        # Between two events of an array stands this. Nobody can know it, and so no event contains
        # it: where all marks are elements of the array, each second one, the others are one event
        # each.
        self._mark = os.urandom(8).hex()
        self._separator = b',"%b",' % self._mark.encode()
        self._most_are_invalid = False

    def screen(self, block: Block) -> Iterator[Screened]:
        """What is to be looked at again, part by part: no more values are held at once."""
        parts = _lines(block.data) if block.spans is None else _values(block.data, block.spans)
        for part in parts:
            events, found = self._screen(part)
            suspects = []
            if found:
                indexes, values = zip(*found, strict=True)
                suspects = [
                    Suspect(start, end, value)
                    for (start, end), value in zip(part.spans(indexes), values, strict=True)
                ]
            yield Screened(events, suspects)

    def _screen(self, part: _Part) -> tuple[int, list[tuple[int, Any]]]:
        """How many events, and the suspects: which of the texts, and their values."""
        joined, number = part.joined(self._separator)
        if (values := self._parse(joined, number)) is None:
            return self._screen_each(part.texts())
        # Of equal keys, a parser keeps one: the text then has more strings than the values.
        strings = count_strings(joined) - (number - 1)
        # Each level of nesting is an array, or has a key.
        flat = (
            b"[" not in joined
            and self._fewest_strings < MAX_DEPTH
            and len(joined) <= self._max_bytes
        )
        invalid = self._invalid_of(values)
        if flat and len(invalid) * _RARE <= number:
            texts = part.texts() if invalid else []
            others = strings - sum(count_strings(texts[index]) for index in invalid)
            if others == self._fewest_strings * (number - len(invalid)):
                return number, [(one, self._known(texts[one], values[one])) for one in invalid]
        if self._are_small(joined, part) and strings == count_strings(orjson.dumps(values)):
            return number, [(index, values[index]) for index in invalid]
        return self._screen_each(part.texts())

    def _invalid_of(self, values: list[Any]) -> Sequence[int]:
        """Which values may be invalid."""
        is_valid = self._is_valid
        if self._most_are_invalid:
            # Whoever tells what is wrong with each of them will see that some are valid.
            some = values[:_SAMPLE]
            self._most_are_invalid = 2 * sum(map(is_valid, some)) < len(some)
            return range(len(values))
        if self._all_valid(values):
            return ()
        invalid = [index for index, value in enumerate(values) if not is_valid(value)]
        self._most_are_invalid = 2 * len(invalid) > len(values)
        return invalid

    def _parse(self, joined: bytes, number: int) -> list[Any] | None:
        """The values of some texts; None unless each is just one value."""
        try:
            values = orjson.loads(b"[%b]" % joined)
        except orjson.JSONDecodeError:
            return None
        if len(values) != 2 * number - 1 or values[1::2].count(self._mark) != number - 1:
            return None
        events: list[Any] = values[::2]
        return events

    def _are_small(self, joined: bytes, part: _Part) -> bool:
        """Whether none of some texts is over a limit: of its size, or of its depth."""
        return (
            len(joined) <= self._max_bytes and joined.count(b"{") + joined.count(b"[") <= MAX_DEPTH
        ) or all(map(self._is_small, part.texts()))

    def _is_small(self, text: bytes) -> bool:
        return len(text) <= self._max_bytes and (
            # Each level takes two brackets.
            len(text) <= 2 * MAX_DEPTH or text.count(b"{") + text.count(b"[") <= MAX_DEPTH
        )

    def _known(self, text: bytes, value: Any) -> Any:
        """The value of a text, if there is nothing wrong with it but what the schema says."""
        small = self._is_small(text)
        sound = small and count_strings(text) == count_strings(orjson.dumps(value))
        return value if sound else UNKNOWN

    def _screen_each(self, texts: Sequence[bytes]) -> tuple[int, list[tuple[int, Any]]]:
        blank = 0
        suspects = []
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
                suspects.append((index, value))
        return len(texts) - blank, suspects


class _Part(ABC):
    """Some texts of a block."""

    @abstractmethod
    def joined(self, separator: bytes) -> tuple[bytes, int]:
        """All of them, and how many they are."""

    @abstractmethod
    def texts(self) -> Sequence[bytes]:
        """Each of them."""

    @abstractmethod
    def spans(self, indexes: Sequence[int]) -> Iterator[tuple[int, int]]:
        """The bytes of some of them in the block."""


class _Lines(_Part):
    def __init__(self, text: bytes, start: int) -> None:
        self._text = text
        self._start = start
        self._texts: Sequence[bytes] = ()

    def joined(self, separator: bytes) -> tuple[bytes, int]:
        joined = self._text.replace(b"\n", separator)
        return joined, 1 + (len(joined) - len(self._text)) // (len(separator) - 1)

    def texts(self) -> Sequence[bytes]:
        self._texts = self._texts or self._text.split(b"\n")
        return self._texts

    def spans(self, indexes: Sequence[int]) -> Iterator[tuple[int, int]]:
        lengths = list(accumulate(map(len, self.texts()), initial=self._start))
        # In front of a line stand as many line ends as lines.
        return ((lengths[index] + index, lengths[index + 1] + index) for index in indexes)


class _Values(_Part):
    def __init__(self, data: bytes, spans: Sequence[tuple[int, int]]) -> None:
        self._texts = [data[start:end] for start, end in spans]
        self._spans = spans

    def joined(self, separator: bytes) -> tuple[bytes, int]:
        return separator.join(self._texts), len(self._texts)

    def texts(self) -> Sequence[bytes]:
        return self._texts

    def spans(self, indexes: Sequence[int]) -> Iterator[tuple[int, int]]:
        return (self._spans[index] for index in indexes)


def _lines(data: bytes) -> Iterator[_Part]:
    at = 0
    while at < len(data):
        end = data.rfind(b"\n", at, at + _BYTES_AT_ONCE)
        if end < 0 and (end := data.find(b"\n", at)) < 0:
            end = len(data)
        yield _Lines(data[at:end], at)
        at = end + 1


def _values(data: bytes, spans: Sequence[tuple[int, int]]) -> Iterator[_Part]:
    for first in range(0, len(spans), _EVENTS_AT_ONCE):
        yield _Values(data, spans[first : first + _EVENTS_AT_ONCE])


def _fewest_strings(schema: Any) -> int:
    """A number of strings, keys among them, that no valid value has less of.

    Where a text has just as many, no key can stand twice in it. That is cheap to compare, and what
    it is worth depends on the schema: for events without further members it is exact.
    """
    if not isinstance(schema, dict) or schema.get("$schema", _DIALECT) != _DIALECT:
        return 0
    if schema.get("type") == "string":
        return 1
    if schema.get("type") != "object":
        return 0
    properties = schema.get("properties", {})
    return sum(1 + _fewest_strings(properties.get(key)) for key in set(schema.get("required", ())))
