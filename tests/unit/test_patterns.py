"""Patterns are those of ECMA 262, and one that gives up has decided nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dlmon.errors import SchemaError
from dlmon.event_files.block import Block, Position
from dlmon.linting.checker import BlockChecker
from dlmon.linting.findings import CheckOptions
from dlmon.linting.violation_counter import ViolationCounter
from dlmon.validation.schema import Schema, load_schema
from dlmon.validation.validator import Validator

# A group that is looked at in every way in which it can be divided, before a part that never fits.
GIVES_UP = {"pattern": r"^(a|a)*\1b$"}
TEXT = "a" * 60


def codes(document: Any, value: Any) -> list[str]:
    verdict = Validator(Schema(document, "test")).validate(json.dumps(value).encode())
    return [violation.code for violation in verdict.violations]


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        (r"^\p{L}+$", "Größe", "1"),
        (r"^\p{Letter}+$", "é", "-"),
        (r"^\p{Script=Greek}$", "α", "a"),
        (r"^(?<y>\d{4})$", "2026", "26"),
        (r"^\u{1F600}$", "\U0001f600", "x"),
        (r"^\cA$", "\x01", "A"),
        (r"^\cj$", "\n", "j"),
        (r"^\d$", "1", "\u0661"),
        (r"^\w$", "a", "é"),
        (r"^a\/b$", "a/b", "ab"),
        (r"^(?=.*\d)[a-z\d]+$", "a1", "ab"),
        (r"(?<!x)y$", "ay", "xy"),
    ],
)
def test_patterns_of_ecma_262_are_used_wherever_they_stand(
    pattern: str, matching: str, other: str
) -> None:
    assert codes({"pattern": pattern}, matching) == []
    assert codes({"pattern": pattern}, other) == ["pattern"]
    members = {"patternProperties": {pattern: True}, "additionalProperties": False}
    assert codes(members, {matching: 1}) == []
    assert codes(members, {other: 1}) == ["additionalProperties"]


@pytest.mark.parametrize("pattern", ["(", "[z-a]", r"\Z", "a{2,1}", r"(?<y>a)\k<z>", "*"])
@pytest.mark.parametrize(
    ("around", "where"),
    [
        (lambda pattern: {"pattern": pattern}, "/pattern"),
        (lambda pattern: {"properties": {"a": {"pattern": pattern}}}, "/properties/a/pattern"),
        (lambda pattern: {"patternProperties": {pattern: True}}, "/patternProperties/"),
    ],
)
def test_a_pattern_that_cannot_be_matched_is_refused_with_its_place(
    pattern: str, around: Any, where: str, tmp_path: Path
) -> None:
    file = tmp_path / "schema.json"
    file.write_text(json.dumps(around(pattern)))
    with pytest.raises(SchemaError) as caught:
        load_schema(file)
    assert f"cannot be used at {where}" in str(caught.value)


IN_MANY_WAYS = [
    (GIVES_UP, TEXT),
    ({"not": GIVES_UP}, TEXT),
    ({"not": {"not": GIVES_UP}}, TEXT),
    ({"properties": {"a": {"not": GIVES_UP}}}, {"a": TEXT}),
    ({"if": GIVES_UP, "then": False}, TEXT),
    ({"if": GIVES_UP, "else": False}, TEXT),
    ({"anyOf": [GIVES_UP, {"type": "integer"}]}, TEXT),
    ({"oneOf": [GIVES_UP, {"type": "string"}]}, TEXT),
    ({"not": {"contains": GIVES_UP}}, [TEXT]),
    ({"propertyNames": {"not": GIVES_UP}}, {TEXT: 1}),
    ({"patternProperties": {GIVES_UP["pattern"]: False}}, {TEXT: 1}),
    ({"$ref": "#/$defs/x", "$defs": {"x": {"not": GIVES_UP}}}, TEXT),
]


@pytest.mark.parametrize(("document", "value"), IN_MANY_WAYS)
def test_what_a_pattern_could_not_decide_has_a_code_of_its_own(document: Any, value: Any) -> None:
    assert codes(document, value) == ["undecided"]


def test_an_undecided_event_says_which_part_of_the_schema_did_not_decide() -> None:
    schema = Schema({"properties": {"a": {"not": GIVES_UP}, "b": GIVES_UP}}, "test")
    body = json.dumps({"a": TEXT, "b": "aab"}).encode()
    (violation,) = Validator(schema).validate(body).violations
    assert violation.reason.startswith("not decided by /properties/a/not/pattern of the schema: ")
    body = json.dumps({"a": "b", "b": TEXT}).encode()
    (violation,) = Validator(schema).validate(body).violations
    assert violation.path == "/b"


def test_what_is_decided_without_the_pattern_is_decided() -> None:
    assert codes({"anyOf": [{"type": "string"}, GIVES_UP]}, TEXT) == []
    assert codes({"anyOf": [GIVES_UP, {"type": "string"}]}, TEXT) == []
    assert codes(GIVES_UP, 1) == []


@pytest.mark.parametrize(("document", "value"), IN_MANY_WAYS[:2] + IN_MANY_WAYS[8:9])
@pytest.mark.parametrize(
    ("wanted", "options"),
    [(None, CheckOptions()), (0, CheckOptions()), (0, CheckOptions(tally=True))],
)
def test_an_undecided_event_among_others_is_counted_as_one(
    document: Any, value: Any, wanted: int | None, options: CheckOptions
) -> None:
    schema = Schema(document, "test")
    candidates: list[Any] = [3, "b", "aab", []]
    sound = next(one for one in candidates if schema.compiled.is_valid(one))
    lines = [json.dumps(one).encode() for one in (sound, value, sound)]
    checker = BlockChecker(Validator(schema), options)

    report = checker.check("file", Block(b"\n".join(lines), Position()), wanted)

    assert (report.events, report.invalid, report.findings) == (3, 1, 1)
    assert not schema.all_valid([sound, value])
    assert schema.all_valid([sound, sound])
    assert ViolationCounter(schema).broken_rules([sound, value]) == [None, None]
