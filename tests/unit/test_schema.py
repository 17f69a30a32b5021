from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import dlmon
from dlmon import event
from dlmon.errors import ExitCode, SchemaError
from dlmon.validation.schema import load_schema
from dlmon.validation.schema_files import DEFAULT_SCHEMA, shipped_schemas

PACKAGE = Path(dlmon.__file__).parent


@pytest.fixture
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((shipped_schemas() / DEFAULT_SCHEMA).read_text("utf-8"))
    return loaded


@pytest.mark.parametrize("schemas", ["dlmon/schemas", "schemas"], ids=["wheel", "checkout"])
def test_the_schema_is_found_wherever_dlmon_is_run_from(schemas: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    ignored = shutil.ignore_patterns("__pycache__", "schemas")
    shutil.copytree(PACKAGE, root / "dlmon", ignore=ignored)
    shutil.copytree(shipped_schemas(), root / schemas)
    program = (
        "from dlmon.validation.schema import load_schema; "
        "from dlmon.validation.schema_files import shipped_schemas as where; "
        "print(where()); print(load_schema().version)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(root)},
    )

    assert done.stdout.splitlines() == [str(root / schemas), load_schema().version]


def test_the_schema_is_valid_and_known_by_its_id(document: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(document)
    assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert document["$id"] == "urn:dlmon:download-event:1"
    assert load_schema().version.startswith("urn:dlmon:download-event:1 ")


def test_all_fields_are_required_and_called_as_in_the_code(document: dict[str, Any]) -> None:
    fields = [
        event.EVENT_ID,
        event.TIMESTAMP,
        event.COORDINATES,
        event.FILE_SIZE,
        event.DOWNLOAD_SPEED,
    ]
    coordinates = document["properties"][event.COORDINATES]

    assert list(document["properties"]) == document["required"] == fields
    assert list(coordinates["properties"]) == [event.LATITUDE, event.LONGITUDE]
    assert coordinates["required"] == [event.LATITUDE, event.LONGITUDE]


def test_every_field_is_described_with_its_unit(document: dict[str, Any]) -> None:
    fields = document["properties"]
    places = fields[event.COORDINATES]["properties"]

    for field in (document, *fields.values(), *places.values()):
        assert field["description"].endswith(".")
    assert "bytes" in fields[event.FILE_SIZE]["description"]
    assert "megabits per second" in fields[event.DOWNLOAD_SPEED]["description"]
    assert all("Degrees" in place["description"] for place in places.values())
    assert "WGS 84" in fields[event.COORDINATES]["description"]


def test_a_schema_of_ones_own_is_known_by_its_name_and_by_what_is_in_it(tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text('{"type": "object"}')
    first = load_schema(file).version
    file.write_text('{ "type" : "object" }')
    spaced = load_schema(file).version
    file.write_text('{"type": "array"}')

    assert first.startswith("mine.json ")
    assert spaced == first
    assert load_schema(file).version != first


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "Cannot read the schema {file}: No such file or directory."),
        ("", "The schema {file} is not JSON: "),
        ("[]", "The schema {file} must be a JSON object or a boolean."),
        ('{"type": "objekt"}', "The schema {file} is not valid JSON Schema at /type: 'objekt'"),
        (
            '{"$ref": "https://example.com/x"}',
            "The schema {file} refers to documents ",
        ),
        (
            '{"$ref": "#/$defs/gone"}',
            "The schema {file} cannot be used at /$ref: Pointer '/$defs/gone' does not exist.",
        ),
        (
            '{"properties": {"a": {"pattern": "("}}}',
            'The schema {file} cannot be used at /properties/a/pattern: "(" is not a "regex": '
            "patterns are those of ECMA 262 that jsonschema-rs can match.",
        ),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused_in_words(
    content: str | None, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "schema.json"
    if content is not None:
        file.write_text(content)

    with pytest.raises(SchemaError) as caught:
        load_schema(file)

    assert str(caught.value).startswith(message.format(file=file))
    assert caught.value.exit_code == ExitCode.USAGE
