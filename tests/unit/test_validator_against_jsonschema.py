"""Verdicts by schemas of users, held against those of jsonschema."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import orjson
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from dlmon.linting.prefilter import Prefilter
from dlmon.validation.json_pointer import to_pointer
from dlmon.validation.schema import Schema
from dlmon.validation.validator import Validator
from tests.support.blocks import by_spans, candidates_in

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
    block = by_spans(bodies)
    _, candidates = candidates_in(Prefilter(validator), block)
    invalid = {body for body, ok in zip(bodies, valid, strict=True) if not ok}
    assert {block.data[one.start : one.end] for one in candidates} >= invalid


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
    expected = Counter(to_pointer(error.absolute_path) for error in errors)
    assert Counter(one.path for one in verdict.violations) == expected
