"""Verdicts by schemas of users, held against those of jsonschema."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from dlmon.errors import SchemaError
from dlmon.linting.prefilter import Prefilter
from dlmon.validation.json_positions import to_pointer
from dlmon.validation.schema import Schema, load_schema
from dlmon.validation.validator import Validator
from tests.support.blocks import by_spans, screen
from tests.support.events import make_body

NAMES = st.sampled_from(["a", "b", "c"])
WORDS = st.sampled_from(["", "a", "ab", "é", "2026-03-01", "2026-03-01T12:00:00Z", "10.0.0.1"])
SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1.0]) | WORDS
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
TYPES = ["null", "boolean", "integer", "number", "string", "array", "object"]
COUNTS = st.integers(0, 3)


def keywords(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(inner, min_size=1, max_size=3)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(TYPES)
            | st.lists(st.sampled_from(TYPES), min_size=1, unique=True),
            "enum": st.lists(SCALARS, min_size=1, max_size=3, unique_by=repr),
            "const": SCALARS,
            "minimum": COUNTS,
            "exclusiveMaximum": COUNTS,
            "multipleOf": st.integers(1, 3),
            "minLength": COUNTS,
            "maxLength": COUNTS,
            "pattern": st.sampled_from(["^a", "b$", "^$"]),
            "format": st.sampled_from(["date", "date-time", "ipv4", "uuid"]),
            "items": inner,
            "prefixItems": several,
            "contains": inner,
            "minItems": COUNTS,
            "maxItems": COUNTS,
            "uniqueItems": st.booleans(),
            "properties": st.dictionaries(NAMES, inner, max_size=3),
            "patternProperties": st.dictionaries(
                st.sampled_from(["^a", "[bc]"]), inner, max_size=1
            ),
            "additionalProperties": inner,
            "propertyNames": inner,
            "required": st.lists(NAMES, max_size=2, unique=True),
            "dependentRequired": st.dictionaries(NAMES, st.lists(NAMES, unique=True), max_size=1),
            "maxProperties": COUNTS,
            "allOf": several,
            "anyOf": several,
            "oneOf": several,
            "not": inner,
            "if": inner,
            "then": inner,
            "else": inner,
            "$ref": st.sampled_from(["#/$defs/x", "#/$defs/y"]),
        },
    )


SCHEMAS = st.recursive(st.booleans(), keywords, max_leaves=6)


@st.composite
def documents(draw: st.DrawFn) -> Any:
    """A schema with definitions to refer to, which refer to nothing themselves."""
    root = draw(keywords(SCHEMAS))
    simple = st.sampled_from([True, {"type": "string"}, {"type": ["integer", "null"]}])
    root["$defs"] = {"x": draw(simple), "y": draw(simple)}
    if draw(st.booleans()):
        root["$id"] = "https://example.com/test"
    return root


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(documents(), st.lists(VALUES, min_size=1, max_size=12))
def test_verdicts_are_those_of_jsonschema(document: Any, values: list[Any]) -> None:
    validator = Validator(Schema(document, "test"))
    oracle = Draft202012Validator(document, format_checker=FormatChecker())
    bodies = [json.dumps(value).encode() for value in values]
    valid = [oracle.is_valid(orjson.loads(body)) for body in bodies]
    assert [validator.validate(body).valid for body in bodies] == valid
    assert validator.validate_all(bodies) == [validator.validate(body) for body in bodies]
    block = by_spans(bodies)
    _, suspects = screen(Prefilter(validator), block)
    invalid = {body for body, ok in zip(bodies, valid, strict=True) if not ok}
    assert {block.data[one.start : one.end] for one in suspects} >= invalid


EMPTY_NAMES = st.sampled_from(["a", "b", ""])
EMPTY_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.integers(0, 2) | st.sampled_from(["", "a"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(EMPTY_NAMES, inner, max_size=3),
    max_leaves=8,
)


def keywords_on_members(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Those of whose errors jsonschema and jsonschema-rs agree on how many there are."""
    return st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["null", "integer", "string", "object"]),
            "const": st.sampled_from([None, 1, "a"]),
            "minimum": st.just(1),
            "required": st.lists(EMPTY_NAMES, max_size=2, unique=True),
            "properties": st.dictionaries(EMPTY_NAMES, inner, max_size=3),
            "patternProperties": st.dictionaries(
                st.sampled_from(["^a?$", "^$"]), inner, max_size=1
            ),
            "additionalProperties": inner,
            "items": inner,
            "allOf": st.lists(inner, min_size=1, max_size=2),
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "if": inner,
            "then": inner,
            "$ref": st.just("#/$defs/x"),
        },
    )


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.recursive(st.just({}), keywords_on_members, max_leaves=8), EMPTY_VALUES)
@example({"properties": {"": {"properties": {"a": {"enum": [1]}}}}}, {"a": 2, "": {"a": 2}})
@example({"additionalProperties": {"additionalProperties": {"enum": [1]}}}, {"": {"a": 2, "": 2}})
def test_paths_are_those_of_jsonschema(document: Any, value: Any) -> None:
    document = {**document, "$defs": {"x": {"type": "string"}}}
    verdict = Validator(Schema(document, "test")).validate(json.dumps(value).encode())
    errors = Draft202012Validator(document).iter_errors(value)
    told = Counter(to_pointer(error.absolute_path) for error in errors)
    assert Counter(one.path for one in verdict.violations) == told


@given(st.lists(st.binary(max_size=30) | VALUES.map(lambda one: json.dumps(one).encode())))
def test_judging_several_at_once_changes_no_verdict(bodies: list[bytes]) -> None:
    validator = Validator(Schema({"type": ["object", "array"]}, "test"), max_event_bytes=25)
    assert validator.validate_all(bodies) == [validator.validate(body) for body in bodies]


@pytest.mark.parametrize(
    "body",
    [b'{"a":1,"a":1}', b'{"a":{"b":1,"b":"\\u0022"}}', b'{"\\u0061":"\\"","a":"\\""}'],
)
def test_duplicate_keys_are_seen_among_sound_bodies(body: bytes) -> None:
    validator = Validator(Schema(True, "test"))
    sound = [b'{"a": "\\u0022"}', b'{ "a" : 1 }'] * 50
    bodies = [*sound[:70], body, *sound[70:]]
    assert not validator.validate(body).valid
    assert validator.validate_all(bodies) == [validator.validate(body) for body in bodies]


TWICE = make_body().replace(b"{", b'{"file_size":7,', 1)
WITHOUT = make_body().replace(b'"file_size":1596500,', b"")


@pytest.mark.parametrize(
    "odd", [[TWICE], [TWICE, WITHOUT], [WITHOUT], [make_body(note="x"), TWICE]]
)
def test_duplicate_keys_are_seen_among_sound_events(odd: list[bytes]) -> None:
    validator = Validator(load_schema())
    bodies = [make_body() for _ in range(70)]
    bodies[50:50] = odd
    verdicts = validator.validate_all(bodies)
    assert verdicts == [validator.validate(body) for body in bodies]
    assert sum(not verdict.valid for verdict in verdicts) == len({TWICE, WITHOUT}.intersection(odd))


@pytest.mark.parametrize("uri", ["https://example.com/other", "file:///etc/passwd", "other.json"])
def test_a_schema_never_makes_anybody_fetch_something(tmp_path: Path, uri: str) -> None:
    file = tmp_path / "schema.json"
    file.write_text(json.dumps({"properties": {"a": {"$ref": uri}}}))
    with pytest.raises(SchemaError, match=r"at /properties/a/\$ref: .* nothing is fetched"):
        load_schema(file)


def test_a_schema_that_refers_to_nothing_is_told_where(tmp_path: Path) -> None:
    file = tmp_path / "schema.json"
    file.write_text('{"anyOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}], "$defs": {"a": {}}}')
    with pytest.raises(SchemaError, match=r"at /anyOf/1/\$ref: Pointer '/\$defs/b' does not exist"):
        load_schema(file)


def test_a_schema_that_is_none_is_told_its_own_place(tmp_path: Path) -> None:
    file = tmp_path / "schema.json"
    file.write_text('{"properties": {"a": {"type": "text"}}}')
    with pytest.raises(SchemaError, match="at /properties/a/type"):
        load_schema(file)
