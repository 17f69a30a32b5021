"""From bytes to a verdict: the one judge behind every command.

Judging never raises, whatever the bytes: what is wrong with an event is a `Violation`, a value.
jsonschema-rs decides and explains; jsonschema only checks the schema itself when it is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import jsonschema_rs
import orjson

from dlmon.event import MAX_EVENT_BYTES
from dlmon.validation.instance_paths import WholePaths, may_have_empty_keys
from dlmon.validation.json_positions import (
    count_strings,
    may_have_duplicate_keys,
    places,
    to_pointer,
)
from dlmon.validation.schema import Schema
from dlmon.validation.violations import (
    DUPLICATE_KEY,
    NOT_JSON,
    NOT_UTF8,
    TOO_LARGE,
    Verdict,
    Violation,
)

MAX_VIOLATIONS = 100
"""Violations reported of one event; an event that breaks more rules has been told enough."""

# Bodies that are judged by one call, and how few of them are not halved to find what is wrong.
_JUDGED_AT_ONCE = 32
_JUDGED_SINGLY = 4

MAX_DEPTH = 200
"""Levels of nesting. RFC 8259 section 9 lets a parser set one; jsonschema-rs cannot explain what is
wrong with a value of more than 255."""


class Validator:
    """WorkerPool bodies by one schema."""

    def __init__(self, schema: Schema, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self.schema = schema
        self.max_event_bytes = max_event_bytes
        self._is_valid: Callable[[Any], bool] = schema.compiled.is_valid
        # Shorter bodies have no room for too many brackets.
        self._surely_flat_bytes = min(2 * MAX_DEPTH, max_event_bytes)

    def validate(self, body: bytes) -> Verdict:
        """The verdict on one body: size, then JSON, then keys, then the schema."""
        if len(body) > self.max_event_bytes:
            return self.too_large(len(body))
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            return Verdict(None, (_not_json(body, error),))
        # Each level takes two brackets: a text with no room for them, or with fewer, is not walked.
        if (
            len(body) > 2 * MAX_DEPTH
            and body.count(b"{") + body.count(b"[") > MAX_DEPTH
            and _depth(value) > MAX_DEPTH
        ):
            reason = f"nested more than {MAX_DEPTH} levels deep"
            return Verdict(None, (Violation(NOT_JSON, "", reason),))
        if may_have_duplicate_keys(body, value):
            duplicates = tuple(
                Violation(
                    DUPLICATE_KEY, place.pointer, "the key stands more than once in its object"
                )
                for place in islice((p for p in places(body) if p.duplicate), MAX_VIOLATIONS)
            )
            if duplicates:
                return Verdict(value, duplicates)
        if self._is_valid(value):
            return Verdict(value)
        errors = islice(self.schema.compiled.iter_errors(value), MAX_VIOLATIONS)
        whole = None
        if may_have_empty_keys(body):
            whole = WholePaths(self.schema.compiled.evaluate(value))
        return Verdict(value, tuple(_violation(error, whole) for error in errors))

    def validate_all(self, bodies: Sequence[bytes]) -> list[Verdict]:
        """The verdict on each of several bodies, in half the time where nearly all are valid."""
        verdicts: list[Verdict] = []
        for start in range(0, len(bodies), _JUDGED_AT_ONCE):
            verdicts += self._judge_some(bodies[start : start + _JUDGED_AT_ONCE])
        return verdicts

    def _judge_some(self, bodies: Sequence[bytes]) -> Sequence[Verdict]:
        if len(bodies) <= _JUDGED_SINGLY:
            return list(map(self.validate, bodies))
        if (values := self._parse_some(bodies)) is None:
            middle = len(bodies) // 2
            return [*self._judge_some(bodies[:middle]), *self._judge_some(bodies[middle:])]
        all_valid = self.schema.all_valid(values)
        # Duplicate keys as in `may_have_duplicate_keys`, but in all bodies at once.
        strings = count_strings(b"".join(bodies))
        if all_valid and strings == self.schema.fewest_strings * len(bodies):
            # Not by calling Verdict, which takes longer than judging.
            make = tuple.__new__
            return [make(Verdict, (value, ())) for value in values]
        sound = strings == count_strings(orjson.dumps(values))
        return [
            Verdict(value)
            if (sound or not may_have_duplicate_keys(body, value)) and self._is_valid(value)
            else self.validate(body)
            for body, value in zip(bodies, values, strict=True)
        ]

    def too_large(self, size: int) -> Verdict:
        """The verdict on a body of so many bytes, which are more than the limit."""
        reason = f"{size} bytes are more than the limit of {self.max_event_bytes}"
        return Verdict(None, (Violation(TOO_LARGE, "", reason),))

    def _parse_some(self, bodies: Sequence[bytes]) -> list[Any] | None:
        """These bodies parsed, if all are JSON and none is too large or too deep."""
        if max(map(len, bodies)) > self._surely_flat_bytes and any(
            map(self._is_large_or_deep, bodies)
        ):
            return None
        try:
            return list(map(orjson.loads, bodies))
        except orjson.JSONDecodeError:
            return None

    def _is_large_or_deep(self, body: bytes) -> bool:
        return len(body) > self.max_event_bytes or (
            len(body) > 2 * MAX_DEPTH and body.count(b"{") + body.count(b"[") > MAX_DEPTH
        )


def _not_json(body: bytes, error: orjson.JSONDecodeError) -> Violation:
    try:
        text = body.decode()
    except UnicodeDecodeError as invalid:
        reason = f"byte {invalid.start} is not UTF-8: {invalid.reason}"
        return Violation(NOT_UTF8, "", reason, invalid.start)
    offset = len(text[: error.pos].encode())
    return Violation(NOT_JSON, "", str(error), offset)


def _depth(value: Any) -> int:
    """Levels of nesting of a parsed value; a scalar has none."""
    depth = 0
    level = [value]
    while level := [node for node in level if type(node) in (dict, list)]:
        depth += 1
        level = [
            child for node in level for child in (node.values() if type(node) is dict else node)
        ]
    return depth


def _violation(error: jsonschema_rs.ValidationError, whole: WholePaths | None) -> Violation:
    """whole: for a body that may have empty keys."""
    path = to_pointer(error.instance_path) if whole is None else whole.of(error)
    # A schema that is just `false` breaks no keyword.
    keywords = [part for part in error.schema_path if isinstance(part, str)]
    code = keywords[-1] if keywords else "false"
    return Violation(code, path, error.message)
