"""From bytes to a verdict: every command validates with this one validator.

Validation never raises, whatever the bytes: what is wrong with an event is a `Violation`, a value.
jsonschema-rs decides and explains; jsonschema only checks the schema itself when it is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import jsonschema_rs
import orjson

from dlmon.event import MAX_EVENT_BYTES, MAX_MESSAGE_BYTES
from dlmon.validation.codes import code_of
from dlmon.validation.data_formats import recognize_format
from dlmon.validation.duplicate_keys import count_strings, duplicate_keys, may_have_duplicate_keys
from dlmon.validation.instance_paths import InstancePaths, may_have_empty_keys
from dlmon.validation.json_pointer import to_pointer
from dlmon.validation.schema import Schema
from dlmon.validation.violations import (
    DUPLICATE_KEY,
    NOT_JSON,
    NOT_UTF8,
    TOO_LARGE,
    UNDECIDED,
    Verdict,
    Violation,
)

MAX_VIOLATIONS = 100
"""Violations reported of one event. More would help nobody, and a body can break a million."""

MAX_DEPTH = 200
"""Levels of nesting. RFC 8259 section 9 lets a parser set a limit; jsonschema-rs cannot explain
what is wrong with a value of more than 255."""

_TOGETHER = 32  # bodies that are validated by one call


class Validator:
    """Validates bodies by one schema."""

    def __init__(
        self,
        schema: Schema,
        max_event_bytes: int = MAX_EVENT_BYTES,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
    ) -> None:
        """max_message_bytes: of a message with several events, unpacked. It is not applied
        here, but by those that take messages apart."""
        self.schema = schema
        self.max_event_bytes = max_event_bytes
        self.max_message_bytes = max_message_bytes
        self._is_valid: Callable[[Any], bool] = schema.compiled.is_valid
        # Shorter bodies have no room for too many brackets.
        self._simple_bytes = min(2 * MAX_DEPTH, max_event_bytes)

    def validate(self, body: bytes) -> Verdict:
        """The verdict on one body: size, then JSON, then keys, then the schema."""
        if len(body) > self.max_event_bytes:
            return self.too_large(len(body))
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            return Verdict(None, (_not_json(body, error),))
        if may_be_too_deep(body) and _depth(value) > MAX_DEPTH:
            reason = f"nested more than {MAX_DEPTH} levels deep"
            return Verdict(None, (Violation(NOT_JSON, "", reason),))
        if may_have_duplicate_keys(body, value) and (duplicates := _duplicates(body)):
            return Verdict(value, duplicates)
        if self._is_valid(value):
            return Verdict(value)
        return Verdict(value, self._explain(body, value))

    def validate_all(self, bodies: Sequence[bytes]) -> list[Verdict]:
        """The verdict on each of several bodies, in half the time while all of them are valid."""
        verdicts: list[Verdict] = []
        for start in range(0, len(bodies), _TOGETHER):
            valid = self._validate_together(bodies[start : start + _TOGETHER])
            if valid is None:
                # Where one event is invalid, others are: trying on would cost more than it gains.
                return [*verdicts, *map(self._validate_one, bodies[start:])]
            verdicts += valid
        return verdicts

    def validate_parsed(self, bodies: Sequence[bytes], values: list[Any]) -> list[Verdict]:
        """As `validate_all`, of bodies whose values are known; nothing is parsed again while all of
        them are valid."""
        if (
            max(map(len, bodies)) <= self._simple_bytes
            and count_strings(b"".join(bodies)) == self.schema.fewest_strings * len(bodies)
            and self.schema.all_valid(values)
        ):
            return list(map(Verdict, values))
        return self.validate_all(bodies)

    def _validate_one(self, body: bytes) -> Verdict:
        """As `validate`, in half the time for an event that is valid, if that is simple to see."""
        if (
            len(body) <= self._simple_bytes
            and b"\\" not in body
            and body.count(b'"') == 2 * self.schema.fewest_strings
        ):
            try:
                value = orjson.loads(body)
            except orjson.JSONDecodeError:
                return self.validate(body)
            if self._is_valid(value):
                return Verdict(value)
        return self.validate(body)

    def _validate_together(self, bodies: Sequence[bytes]) -> list[Verdict] | None:
        """The verdicts if all of these are valid, and that is simple to see; else None."""
        if max(map(len, bodies)) > self._simple_bytes:
            return None
        try:
            values = list(map(orjson.loads, bodies))
        except orjson.JSONDecodeError:
            return None
        # A key that stands twice would be one string more.
        if count_strings(b"".join(bodies)) != self.schema.fewest_strings * len(bodies):
            return None
        return list(map(Verdict, values)) if self.schema.all_valid(values) else None

    def too_large(self, size: int) -> Verdict:
        """The verdict on a body of so many bytes, which are more than the limit."""
        reason = f"{size} bytes are more than the limit of {self.max_event_bytes}"
        return Verdict(None, (Violation(TOO_LARGE, "", reason),))

    def _explain(self, body: bytes, value: Any) -> tuple[Violation, ...]:
        """What is wrong with an invalid value, which takes several times as long as to find it."""
        compiled = self.schema.compiled
        paths = InstancePaths(compiled.evaluate(value)) if may_have_empty_keys(body) else None
        errors = islice(compiled.iter_errors(value), MAX_VIOLATIONS)
        return tuple(_violation(error, paths) for error in errors)


def may_be_too_deep(text: bytes) -> bool:
    """Whether the depth of a JSON text has to be measured. Never False for a text too deep."""
    # Each level takes two brackets.
    return len(text) > 2 * MAX_DEPTH and text.count(b"{") + text.count(b"[") > MAX_DEPTH


def _not_json(body: bytes, error: orjson.JSONDecodeError) -> Violation:
    form = recognize_format(body)
    hint = f"looks like {form}: " if form else ""
    try:
        text = body.decode()
    except UnicodeDecodeError as invalid:
        reason = f"{hint}byte {invalid.start} is not UTF-8: {invalid.reason}"
        return Violation(NOT_UTF8, "", reason, invalid.start)
    offset = len(text[: error.pos].encode())
    return Violation(NOT_JSON, "", f"{hint}{error}", offset)


def _duplicates(body: bytes) -> tuple[Violation, ...]:
    reason = "the key stands more than once in its object"
    return tuple(
        Violation(DUPLICATE_KEY, pointer, reason)
        for pointer in islice(duplicate_keys(body), MAX_VIOLATIONS)
    )


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


def _violation(error: jsonschema_rs.ValidationError, paths: InstancePaths | None) -> Violation:
    """paths: for a body that may have empty keys."""
    path = to_pointer(error.instance_path) if paths is None else paths.pointer_of(error)
    code, reason = code_of(error), error.message
    if code == UNDECIDED:
        # Under `not` and the like the place in the event is not known: say where in the schema.
        reason = f"not decided by {to_pointer(error.schema_path)} of the schema: {reason}"
    return Violation(code, path, reason)
