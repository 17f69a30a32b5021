"""From bytes to a verdict: the one judge behind every command.

Judging never raises, whatever the bytes: what is wrong with an event is a `Violation`, a value.
jsonschema-rs decides and explains; jsonschema only checks the schema itself when it is loaded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema_rs
import orjson

from dlmon.errors import SchemaError
from dlmon.event import Event
from dlmon.validation.empty_keys import WholePaths, may_have_empty_keys
from dlmon.validation.json_positions import (
    count_strings,
    escape_pointer,
    may_have_duplicate_keys,
    places,
    to_pointer,
)

MAX_EVENT_BYTES = 64 * 1024
"""Default size limit of one event. Real events have some 200 bytes."""

MAX_VIOLATIONS = 100
"""Violations reported of one event; an event that breaks more rules has been told enough."""

# Bodies that are judged by one call, and how few of them are not halved to find what is wrong.
_JUDGED_AT_ONCE = 32
_JUDGED_SINGLY = 4

MAX_DEPTH = 200
"""Levels of nesting. RFC 8259 section 9 lets a parser set one; jsonschema-rs cannot explain what is
wrong with a value of more than 255."""

DIALECT = "https://json-schema.org/draft/2020-12/schema"
"""The version of JSON Schema that a schema is in which names none."""

SCHEMA_URI = "urn:dlmon:schema"
"""The name of a schema for others that are made of it."""

DEFAULT_SCHEMA = "download_event.schema.json"

# Codes that are no keyword of JSON Schema. They are stable: headers, reports and filters use them.
TOO_LARGE = "too-large"
NOT_UTF8 = "not-utf8"
NOT_JSON = "not-json"
DUPLICATE_KEY = "duplicate-key"
UNSTORABLE = "unstorable"
ID_CONFLICT = "id-conflict"
UNDECODABLE_HEADERS = "undecodable-headers"
UNDELIVERABLE = "undeliverable"
FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule: its code, a JSON Pointer (RFC 6901) to where, and a reason in words.

    `offset` is the byte at which the text stopped being JSON or UTF-8, for those two codes only.
    """

    code: str
    path: str
    reason: str
    offset: int | None = None


class Verdict(NamedTuple):
    """What the judge says of one body. `value` is the parsed JSON, None where it is none."""

    value: Any
    violations: tuple[Violation, ...] = ()

    @property
    def valid(self) -> bool:
        return not self.violations

    @property
    def event(self) -> Event:
        """The event of a valid body."""
        event: Event = self.value
        return event


class Schema:
    """An event schema that is known to be usable."""

    def __init__(self, document: Any, source: str, *, checked: bool = False) -> None:
        """document: the parsed schema. source: where it comes from, for messages.

        checked: it is known to be a JSON Schema, so that this need not be checked.

        Raises: SchemaError when it is no valid JSON Schema or refers to what it does not contain.
        """
        self.document = document
        self.source = source
        if not checked:
            _check(document, source)
        try:
            self.compiled = jsonschema_rs.validator_for(
                document, validate_formats=True, retriever=_never_retrieve
            )
        except (ValueError, jsonschema_rs.ReferencingError) as error:
            # Further lines of the message describe an instance, and here there is none.
            reason = str(error).partition("\n")[0].rstrip(".")
            reason, fetching, _ = reason.partition(" and retrieving it failed")
            if fetching:
                reason += ": put it into $defs, since nothing is fetched"
            where = _place_of_reference(document, reason)
            raise SchemaError(f"The schema {source} cannot be used{where}: {reason}.") from error

    @cached_property
    def all_valid(self) -> Callable[[list[Any]], bool]:
        """Whether every one of several values is valid: one call is faster than many."""
        several = {"$schema": DIALECT, "items": {"$ref": SCHEMA_URI}}
        is_valid: Callable[[Any], bool] = jsonschema_rs.validator_for(
            several, validate_formats=True, registry=self.registry
        ).is_valid
        return is_valid

    @cached_property
    def registry(self) -> jsonschema_rs.Registry:
        """Lets other schemas refer to this one, by `SCHEMA_URI`."""
        return jsonschema_rs.Registry([(SCHEMA_URI, self.document)])

    @cached_property
    def fewest_strings(self) -> int:
        """A number of strings, keys among them, that no valid value has less of.

        Where a text has just as many, no key can stand twice in it. That is cheap to compare, and
        what it is worth depends on the schema: for events without further members it is exact.
        """
        return _fewest_strings(self.document)

    @cached_property
    def digest(self) -> str:
        """Short hash of the content: the same `$id` with other rules is another version."""
        canonical = orjson.dumps(self.document, option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(canonical).hexdigest()[:12]

    @cached_property
    def version(self) -> str:
        """`$id` and digest, as the `dlmon-schema` header carries it."""
        has_id = isinstance(self.document, dict) and isinstance(self.document.get("$id"), str)
        return f"{self.document['$id'] if has_id else Path(self.source).name} {self.digest}"


def load_schema(path: Path | None = None) -> Schema:
    """The schema in a file, or the one that dlmon ships.

    Raises: SchemaError when there is no such file, or it is no usable JSON Schema.
    """
    shipped = path is None
    path = path or shipped_schemas() / DEFAULT_SCHEMA
    try:
        text = path.read_bytes()
    except OSError as error:
        raise SchemaError(f"Cannot read the schema {path}: {error.strerror}.") from error
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise SchemaError(f"The schema {path} is not JSON: {error}.") from error
    # Checking takes as long as everything else that a short command does at its start.
    return Schema(document, str(path), checked=shipped)


def shipped_schemas() -> Path:
    """The folder of schemas: inside the package in a wheel, beside it in a checkout."""
    package = Path(str(files("dlmon")))
    inside = package / "schemas"
    return inside if inside.is_dir() else package.parent / "schemas"


class Validator:
    """Judges bodies by one schema."""

    def __init__(self, schema: Schema, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self.schema = schema
        self.max_event_bytes = max_event_bytes
        self._is_valid: Callable[[Any], bool] = schema.compiled.is_valid
        # Shorter bodies have no room for too many brackets.
        self._surely_flat_bytes = min(2 * MAX_DEPTH, max_event_bytes)

    def judge(self, body: bytes) -> Verdict:
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

    def judge_all(self, bodies: Sequence[bytes]) -> list[Verdict]:
        """The verdict on each of several bodies, in half the time where nearly all are valid."""
        verdicts: list[Verdict] = []
        for start in range(0, len(bodies), _JUDGED_AT_ONCE):
            verdicts += self._judge_some(bodies[start : start + _JUDGED_AT_ONCE])
        return verdicts

    def _judge_some(self, bodies: Sequence[bytes]) -> Sequence[Verdict]:
        if len(bodies) <= _JUDGED_SINGLY:
            return list(map(self.judge, bodies))
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
            else self.judge(body)
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


def _fewest_strings(schema: Any) -> int:
    if not isinstance(schema, dict) or schema.get("$schema", DIALECT) != DIALECT:
        return 0
    if schema.get("type") == "string":
        return 1
    if schema.get("type") != "object":
        return 0
    properties = schema.get("properties", {})
    return sum(1 + _fewest_strings(properties.get(key)) for key in set(schema.get("required", ())))


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


def _check(document: Any, source: str) -> None:
    import jsonschema

    if isinstance(document, bool):
        return
    if not isinstance(document, dict):
        raise SchemaError(f"The schema {source} must be a JSON object or a boolean.")
    validator_class = jsonschema.validators.validator_for(
        document, default=jsonschema.Draft202012Validator
    )
    try:
        validator_class.check_schema(document)
    except jsonschema.SchemaError as error:
        where = to_pointer(error.absolute_path)
        raise SchemaError(
            f"The schema {source} is not valid JSON Schema at {where or '/'}: {error.message}"
        ) from error


def _never_retrieve(uri: str) -> Any:
    # A schema from outside must not make dlmon fetch anything: not from a network, not from a disk.
    raise ValueError(uri)


def _place_of_reference(document: Any, reason: str) -> str:
    """Where the reference stands that a reason quotes a part of; nothing, if that is not known."""
    waiting = [("", document)]
    while waiting:
        path, node = waiting.pop()
        members = node.items() if isinstance(node, dict) else enumerate(node)
        for key, value in members:
            pointer = f"{path}/{escape_pointer(str(key))}"
            if isinstance(value, dict | list):
                waiting.append((pointer, value))
            elif key in ("$ref", "$dynamicRef") and isinstance(value, str):
                parts = (value, *value.split("#"))
                if any(part and f"{part}'" in reason for part in parts):
                    return f" at {pointer}"
    return ""
