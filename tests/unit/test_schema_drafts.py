"""Which draft a schema is in, however it says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dlmon.errors import SchemaError
from dlmon.validation.drafts import draft_of
from dlmon.validation.schema import load_schema
from dlmon.validation.validator import Validator

LATEST = "2020-12"


def load(folder: Path, document: Any) -> Validator:
    file = folder / "schema.json"
    file.write_text(json.dumps(document))
    return Validator(load_schema(file))


@pytest.mark.parametrize(
    ("named", "draft"),
    [
        ("http://json-schema.org/draft-04/schema#", "draft-04"),
        ("http://json-schema.org/draft-04/schema", "draft-04"),
        ("https://json-schema.org/draft-04/schema#", "draft-04"),
        ("http://json-schema.org/draft-06/schema#", "draft-06"),
        ("https://json-schema.org/draft-06/schema", "draft-06"),
        ("http://json-schema.org/draft-07/schema#", "draft-07"),
        ("https://json-schema.org/draft-07/schema", "draft-07"),
        ("HTTP://JSON-Schema.org/draft-07/schema#", "draft-07"),
        ("https://json-schema.org/draft/2019-09/schema", "2019-09"),
        ("http://json-schema.org/draft/2019-09/schema#", "2019-09"),
        ("https://json-schema.org/draft/2020-12/schema#", LATEST),
        ("http://json-schema.org/draft/2020-12/schema", LATEST),
        ("http://json-schema.org/schema#", LATEST),
    ],
)
def test_a_draft_is_known_by_each_spelling_of_its_metaschema(
    named: str, draft: str, tmp_path: Path
) -> None:
    assert draft_of({"$schema": named}, "test").name == draft
    # In draft-04, `exclusiveMaximum` is a boolean; before 2019-09, `$ref` hides what is beside it;
    # before 2020-12, `items` can be an array.
    validator = load(tmp_path, {"$schema": named, "type": "object"})
    assert [validator.validate(body).valid for body in (b"{}", b"1")] == [True, False]
    hidden = {
        "$schema": named,
        "definitions": {"x": {}},
        "properties": {"a": {"$ref": "#/definitions/x", "maximum": 1}},
    }
    hides = draft in ("draft-04", "draft-06", "draft-07")
    assert load(tmp_path, hidden).validate(b'{"a":2}').valid is hides
    boolean = {"$schema": named, "maximum": 1, "exclusiveMaximum": True}
    if draft == "draft-04":
        assert not load(tmp_path, boolean).validate(b"1").valid
    else:
        with pytest.raises(SchemaError, match="at /exclusiveMaximum"):
            load(tmp_path, boolean)


def test_a_schema_without_one_is_in_the_latest_draft() -> None:
    assert draft_of({}, "test").name == draft_of(True, "test").name == LATEST


@pytest.mark.parametrize(
    "named",
    [
        "",
        "http://json-schema.org/draft-03/schema#",
        "http://json-schema.org/draft-05/schema#",
        "https://json-schema.org/draft/next/schema",
        "http://json-schema.org/draft-07/hyper-schema#",
        "http://json-schema.org/draft-07/schema#/definitions/x",
        " http://json-schema.org/draft-07/schema#",
        "https://example.com/schema",
        "draft-07",
        7,
        None,
        True,
        ["http://json-schema.org/draft-07/schema#"],
        {"draft": 7},
    ],
)
def test_a_draft_that_is_not_known_is_named(named: Any, tmp_path: Path) -> None:
    with pytest.raises(SchemaError) as caught:
        load(tmp_path, {"$schema": named})
    message = str(caught.value)
    assert f"has the $schema {json.dumps(named, separators=(',', ':'))}, which" in message
    assert "https://json-schema.org/draft/2020-12/schema" in message


def test_of_a_long_name_the_beginning_is_shown(tmp_path: Path) -> None:
    with pytest.raises(SchemaError) as caught:
        load(tmp_path, {"$schema": "x" * 10_000})
    assert len(str(caught.value)) < 1000


def test_a_schema_inside_another_one_can_be_in_another_draft(tmp_path: Path) -> None:
    # In draft-07, `$ref` hides what is beside it.
    old = {
        "$id": "old",
        "$schema": "http://json-schema.org/draft-07/schema#",
        "allOf": [{"$ref": "#/definitions/x", "maximum": 1}],
        "definitions": {"x": {}},
    }
    validator = load(tmp_path, {"$defs": {"old": old}, "items": {"$ref": "old"}})
    assert validator.validate(b"[2]").valid
    assert validator.schema.all_valid([[2]])
