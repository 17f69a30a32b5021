"""Every schema of the official suite, used in every way in which dlmon uses schemas."""

from __future__ import annotations

from collections import Counter

import pytest

from dlmon.errors import SchemaError
from dlmon.linting.checker import BlockChecker
from dlmon.linting.violation_counter import ViolationCounter
from dlmon.validation import violations
from dlmon.validation.codes import KEYWORDS
from dlmon.validation.schema import Schema
from dlmon.validation.schema_references import SchemaReferences
from dlmon.validation.validator import Validator
from tests.support.blocks import by_spans
from tests.support.json_schema_test_suite import DRAFTS, Group, extract_remotes, groups

CODES = KEYWORDS | {violations.FALSE, violations.UNDECIDED}

# dlmon asserts formats, which the suite leaves to an implementation.
ASSERTS_FORMATS = "format.json: "


@pytest.fixture(scope="session")
def references(tmp_path_factory: pytest.TempPathFactory) -> SchemaReferences:
    return SchemaReferences([extract_remotes(tmp_path_factory.mktemp("suite"))])


def load(group: Group, references: SchemaReferences) -> Validator | None:
    """None for a schema with a metaschema of its own, which dlmon refuses."""
    try:
        return Validator(Schema(group.schema, "schema.json", references=references))
    except SchemaError as error:
        assert "has the $schema " in str(error), group.name  # noqa: PT017
        return None


@pytest.mark.parametrize("draft", DRAFTS)
@pytest.mark.slow
def test_every_schema_has_the_same_verdict_alone_in_a_batch_and_counted(
    draft: str, references: SchemaReferences
) -> None:
    refused = 0
    for group in groups(draft):
        validator = load(group, references)
        if validator is None:
            refused += 1
            continue
        schema = validator.schema
        verdicts = [validator.validate(body) for body, _ in group.cases]
        values = [verdict.value for verdict in verdicts]
        if not group.optional and ASSERTS_FORMATS not in group.name:
            expected = [valid for _, valid in group.cases]
            assert [verdict.valid for verdict in verdicts] == expected, group.name
        for value, verdict in zip(values, verdicts, strict=True):
            assert schema.all_valid([value, value]) == verdict.valid, group.name
            assert {one.code for one in verdict.violations} <= CODES, group.name
        for broken, verdict in zip(
            ViolationCounter(schema).broken_rules(values), verdicts, strict=True
        ):
            expected_rules = Counter((one.code, one.path) for one in verdict.violations)
            assert broken is None or Counter(broken) == expected_rules, group.name
        block = by_spans([body for body, _ in group.cases])
        report = BlockChecker(validator).check("file", block)
        invalid = sum(not verdict.valid for verdict in verdicts)
        assert (report.events, report.invalid) == (len(verdicts), invalid), group.name
    assert refused <= 4


@pytest.mark.slow
def test_without_the_documents_it_refers_to_a_schema_is_refused_and_names_all_of_them() -> None:
    none = SchemaReferences()
    refused = 0
    for group in groups("draft2020-12"):
        try:
            Schema(group.schema, "schema.json", references=none)
        except SchemaError as error:
            refused += "--schema-ref" in str(error)
    assert refused > 10
