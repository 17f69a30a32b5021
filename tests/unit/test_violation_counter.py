"""Counted violations, compared with those that the validator explains."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dlmon.linting.violation_counter import ViolationCounter
from dlmon.sources.simulation import Simulation
from dlmon.validation.json_pointer import escape_token
from dlmon.validation.schema import Schema, load_schema
from dlmon.validation.validator import MAX_VIOLATIONS, Validator

NAMES = st.sampled_from(["a", "b", "~/é %", "", "$ref"])
WORDS = st.sampled_from(["", "a", "ab", "2026-03-01T12:00:00Z", "10.0.0.1"])
NUMBERS = st.integers(-3, 3) | st.sampled_from([0.5, 1.0, 2**53, -(2**63), 2**64 - 1, 1e300])
SCALARS = st.none() | st.booleans() | NUMBERS | WORDS
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=8,
)
TYPES = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])
COUNTS = st.integers(0, 3)


def keywords(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries(
        {},
        optional={
            "description": st.just("Says nothing."),
            "type": TYPES | st.lists(TYPES, min_size=1, unique=True) | st.just("object"),
            "enum": st.lists(SCALARS, min_size=1, max_size=3, unique_by=repr),
            "const": SCALARS | st.just({"$ref": "#/nowhere"}),
            "minimum": NUMBERS,
            "maximum": NUMBERS,
            "exclusiveMinimum": COUNTS,
            "exclusiveMaximum": COUNTS,
            "multipleOf": st.integers(1, 3),
            "minLength": COUNTS,
            "maxLength": COUNTS,
            "pattern": st.sampled_from(["^a", "b$"]),
            "format": st.sampled_from(["date-time", "ipv4", "uuid", "unknown-format"]),
            "minItems": COUNTS,
            "maxItems": COUNTS,
            "uniqueItems": st.booleans(),
            "minProperties": COUNTS,
            "maxProperties": COUNTS,
            "required": st.lists(NAMES, max_size=3, unique=True),
            "properties": st.dictionaries(NAMES, inner, max_size=4),
        },
    )


# Keywords that depend on others.
DEPENDENT = st.fixed_dictionaries(
    {},
    optional={
        "additionalProperties": st.booleans(),
        "items": keywords(st.booleans()),
        "not": keywords(st.booleans()),
        "anyOf": st.lists(keywords(st.booleans()), min_size=1, max_size=2),
        "$ref": st.just("#/$defs/x"),
    },
)
SCHEMAS = st.recursive(
    st.booleans() | keywords(st.booleans()),
    lambda inner: keywords(inner) | keywords(inner) | DEPENDENT,
    max_leaves=8,
)


def explained(validator: Validator, value: Any) -> Counter[tuple[str, str]]:
    verdict = validator.validate(json.dumps(value).encode())
    return Counter((one.code, one.path) for one in verdict.violations)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(keywords(SCHEMAS), st.lists(VALUES, min_size=1, max_size=5))
@example({"properties": {"a": {"properties": {"b": {"not": {}}}}}}, [{"a": {"b": 1}}])
@example({"properties": {"a": {"type": "object", "required": ["b"]}}}, [{"a": 1}, {"a": {}}])
@example({"properties": {"": {"properties": {"a": {"enum": [1]}}}}}, [{"a": 2, "": {"a": 2}}])
def test_the_broken_rules_are_those_that_the_validator_explains(
    document: Any, values: list[Any]
) -> None:
    document = {**document, "$defs": {"x": {"type": "string"}}}
    validator = Validator(Schema(document, "test"))
    counter = ViolationCounter(validator.schema)
    for value, broken in zip(values, counter.broken_rules(values), strict=True):
        assert broken is None or Counter(broken) == explained(validator, value)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.recursive(keywords(st.nothing()), keywords, max_leaves=6), VALUES)
def test_independent_rules_are_always_counted(document: Any, value: Any) -> None:
    assert ViolationCounter(Schema(document, "test")).broken_rules([value]) != [None]


def test_the_rules_of_simulated_events_are_counted_without_an_explanation() -> None:
    validator = Validator(load_schema())
    counter = ViolationCounter(validator.schema)
    for event in Simulation(seed=1, start=0, invalid=1.0).take(500):
        value, violations = validator.validate(event.body)
        codes = {one.code for one in violations}
        if value is not None and "duplicate-key" not in codes:
            (broken,) = counter.broken_rules([value])
            assert Counter(broken) == Counter((one.code, one.path) for one in violations)


@pytest.mark.parametrize(
    "document",
    [
        True,
        False,
        {"$schema": "http://json-schema.org/draft-07/schema#", "type": "string"},
        {"$ref": "#/$defs/x", "$defs": {"x": {"type": "string"}}},
        {"allOf": [{"type": "string"}]},
        {"x-unit": "bytes", "type": "string"},
    ],
)
def test_rules_that_depend_on_others_are_left_to_an_explanation(document: Any) -> None:
    assert ViolationCounter(Schema(document, "test")).broken_rules([1, 1]) == [None, None]


def test_a_value_with_too_many_broken_rules_is_left_to_an_explanation() -> None:
    names = [str(number) for number in range(MAX_VIOLATIONS + 1)]
    counter = ViolationCounter(Schema({"required": names}, "test"))
    most, every = dict.fromkeys(names[:1]), dict.fromkeys(names)
    rules = counter.broken_rules([{}, most, every])
    assert rules == [None, [("required", "")] * MAX_VIOLATIONS, []]


@given(NAMES)
def test_where_a_rule_is_broken_is_a_pointer(name: str) -> None:
    schema = Schema({"properties": {name: {"type": "string"}}}, "test")
    assert ViolationCounter(schema).broken_rules([{name: 1}]) == [
        [("type", f"/{escape_token(name)}")]
    ]
