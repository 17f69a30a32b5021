"""Codes are keywords of JSON Schema, or dlmon's own. No schema can make one up."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dlmon.validation.codes import KEYWORDS
from dlmon.validation.schema import Schema
from dlmon.validation.validator import Validator
from dlmon.validation.violations import UNSTORABLE, Violation

DRAFT_7 = "http://json-schema.org/draft-07/schema#"


def violations(document: Any, value: Any) -> tuple[Violation, ...]:
    return Validator(Schema(document, "test")).validate(json.dumps(value).encode()).violations


def codes(document: Any, value: Any) -> list[str]:
    return [one.code for one in violations(document, value)]


@pytest.mark.parametrize("name", ["secret", UNSTORABLE, "items", "type", "properties", "", "0"])
def test_a_name_in_a_schema_is_never_a_code(name: str) -> None:
    forbidden = {name: False}
    reference = {"$ref": f"#/$defs/{name}", "$defs": forbidden}
    for document, value in (
        ({"properties": forbidden}, {name: 1}),
        ({"patternProperties": {f"^{name}": False}}, {name: 1}),
        ({"dependentSchemas": forbidden}, {name: 1}),
        ({"$schema": DRAFT_7, "dependencies": forbidden}, {name: 1}),
        (reference, 1),
        ({"definitions": forbidden, "$ref": f"#/definitions/{name}"}, 1),
        ({"x-own": forbidden, "$ref": f"#/x-own/{name}"}, 1),
        ({"properties": {"a": {"properties": forbidden}}}, {"a": {name: 1}}),
        ({"$defs": {"items": {"properties": forbidden}}, "$ref": "#/$defs/items"}, {name: 1}),
    ):
        assert codes(document, value) == ["false"], document


@pytest.mark.parametrize(
    ("document", "value", "code"),
    [
        (False, 1, "false"),
        ({"allOf": [True, False]}, 1, "false"),
        ({"prefixItems": [False]}, [1], "false"),
        ({"items": False}, [1], "items"),
        ({"additionalProperties": False}, {"a": 1}, "additionalProperties"),
        (
            {"properties": {"a": {"additionalProperties": False}}},
            {"a": {"b": 1}},
            "additionalProperties",
        ),
        ({"properties": {"items": {"items": False}}}, {"items": [1]}, "items"),
        ({"unevaluatedProperties": False}, {"a": 1}, "unevaluatedProperties"),
        ({"unevaluatedItems": False}, [1], "unevaluatedItems"),
        ({"propertyNames": False}, {"a": 1}, "propertyNames"),
        ({"contains": False}, [1], "contains"),
        ({"if": True, "then": False}, 1, "then"),
        ({"if": False, "else": False}, 1, "else"),
        ({"not": True}, 1, "not"),
        ({"dependentRequired": {"a": ["b"]}}, {"a": 1}, "dependentRequired"),
        ({"$schema": DRAFT_7, "dependencies": {"a": ["b"]}}, {"a": 1}, "dependencies"),
        ({"contains": {"type": "string"}, "minContains": 2}, ["a"], "minContains"),
        ({"patternProperties": {"type": {"type": "string"}}}, {"type": 1}, "type"),
    ],
)
def test_a_code_is_the_keyword_that_is_broken(document: Any, value: Any, code: str) -> None:
    assert codes(document, value) == [code]
    assert code in KEYWORDS | {"false"}


@pytest.mark.parametrize(
    ("document", "value", "paths"),
    [
        ({"properties": {"": False}}, {"": 1}, ["/"]),
        ({"properties": {"": {"properties": {"": False}}}}, {"": {"": 1}}, ["//"]),
        ({"properties": {"a": {"properties": {"": False}}}}, {"a": {"": 1}}, ["/a/"]),
        ({"patternProperties": {"^$": False}}, {"": 1}, ["/"]),
        ({"additionalProperties": {"properties": {"": False}}}, {"": {"": 1}}, ["//"]),
        ({"properties": {"": {"items": False}}}, {"": [1]}, ["//0"]),
        ({"allOf": [{"properties": {"": False}}]}, {"": 1}, ["/"]),
        ({"$ref": "#/$defs/x", "$defs": {"x": {"properties": {"": False}}}}, {"": 1}, ["/"]),
        ({"properties": {"": {"required": ["b"]}}}, {"": {}}, ["/"]),
        ({"properties": {"": False, "a": False}}, {"": 1, "a": 1}, ["/", "/a"]),
    ],
)
def test_the_path_of_a_member_without_a_name_is_whole(
    document: Any, value: Any, paths: list[str]
) -> None:
    assert sorted(one.path for one in violations(document, value)) == paths
