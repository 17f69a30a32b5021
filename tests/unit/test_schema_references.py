"""The documents that a schema refers to: which are found, and that no other file is read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from dlmon.config.settings import load_settings
from dlmon.errors import SchemaError
from dlmon.validation.schema import Schema, load_schema
from dlmon.validation.validator import Validator

INTEGER = {"type": "integer"}


def write(path: Path, document: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return path


def referring(folder: Path, reference: str, **keywords: Any) -> Path:
    """A schema whose member `size` is as a reference says."""
    document = {**keywords, "properties": {"size": {"$ref": reference}}}
    return write(folder / "event.json", document)


def verdicts(schema: Schema) -> list[bool]:
    """Whether an event may have a number as its size, or a text."""
    validator = Validator(schema)
    found = [validator.validate(body).valid for body in (b'{"size":1}', b'{"size":"1"}')]
    assert [schema.all_valid([{"size": 1}]), schema.all_valid([{"size": "1"}])] == found
    return found


ONLY_NUMBERS = [True, False]


@pytest.mark.parametrize(
    ("reference", "named", "content"),
    [
        ("https://a.example/size", "any.json", {"$id": "https://a.example/size", **INTEGER}),
        ("urn:example:size", "any.json", {"$id": "urn:example:size", **INTEGER}),
        (
            "https://a.example/inner",
            "bundle.json",
            {"$defs": {"x": {"$id": "https://a.example/inner", **INTEGER}}},
        ),
        (
            "https://a.example/old",
            "draft4.json",
            {
                "$schema": "http://json-schema.org/draft-04/schema#",
                "id": "https://a.example/old",
                **INTEGER,
            },
        ),
        ("https://a.example/s/size.json", "size.json", INTEGER),
        ("https://a.example/s/size.json?v=2", "size.json", INTEGER),
        ("https://a.example/s/a%20b.json", "a b.json", INTEGER),
        ("https://a.example/s/size.json#/$defs/x", "size.json", {"$defs": {"x": INTEGER}}),
        ("https://a.example/s/size.json", "s/size.json", INTEGER),
    ],
)
def test_a_document_is_found_by_its_id_and_by_the_url_that_refers_to_it(
    reference: str, named: str, content: Any, tmp_path: Path
) -> None:
    file = write(tmp_path / "refs" / named, content)
    schema = referring(tmp_path, reference)

    assert verdicts(load_schema(schema, [tmp_path / "refs"])) == ONLY_NUMBERS
    if "/" not in named:
        assert verdicts(load_schema(schema, [file])) == ONLY_NUMBERS


@pytest.mark.parametrize("reference", ["parts/size.json", "./parts/../parts/size.json#"])
def test_a_relative_reference_is_relative_to_the_file_of_the_schema(
    reference: str, tmp_path: Path
) -> None:
    write(tmp_path / "parts" / "size.json", INTEGER)
    schema = referring(tmp_path, reference)

    assert verdicts(load_schema(schema, [tmp_path])) == ONLY_NUMBERS
    assert verdicts(load_schema(schema, [tmp_path / "parts"])) == ONLY_NUMBERS
    assert verdicts(load_schema(schema, [tmp_path / "parts" / "size.json"])) == ONLY_NUMBERS
    with pytest.raises(SchemaError, match="documents that are not there"):
        load_schema(schema)


def test_documents_refer_to_further_ones(tmp_path: Path) -> None:
    write(tmp_path / "parts" / "size.json", {"$ref": "deep/number.json"})
    write(tmp_path / "parts" / "deep" / "number.json", {"$ref": "https://a.example/whole"})
    write(tmp_path / "elsewhere.json", {"$id": "https://a.example/whole", **INTEGER})
    schema = referring(tmp_path, "parts/size.json")

    assert verdicts(load_schema(schema, [tmp_path])) == ONLY_NUMBERS


def test_a_schema_refers_to_itself_by_its_file_and_by_its_relative_id(tmp_path: Path) -> None:
    for reference in ("event.json#/$defs/x", "me#/$defs/x", "#/$defs/x"):
        schema = referring(tmp_path, reference, **{"$id": "me", "$defs": {"x": INTEGER}})
        if reference.startswith("event"):
            schema = referring(tmp_path, reference, **{"$defs": {"x": INTEGER}})
        assert verdicts(load_schema(schema)) == ONLY_NUMBERS


def test_nothing_outside_the_folder_is_read(tmp_path: Path) -> None:
    write(tmp_path / "secret.json", INTEGER)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link.json").symlink_to(tmp_path / "secret.json")
    (folder / "way").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe.json")
    for reference in (
        "../secret.json",
        "%2e%2e/secret.json",
        "link.json",
        "way/secret.json",
        "pipe.json",
        (tmp_path / "secret.json").as_uri(),
        "https://a.example/../secret.json",
        "https://a.example/link.json",
    ):
        with pytest.raises(SchemaError, match="documents that are not there"):
            load_schema(referring(folder, reference), [folder])


def test_a_file_is_found_at_its_own_place_alone_and_not_by_its_name(tmp_path: Path) -> None:
    file = write(tmp_path / "refs" / "size.json", INTEGER)
    schema = referring(tmp_path, file.as_uri())
    assert verdicts(load_schema(schema, [tmp_path / "refs"])) == ONLY_NUMBERS
    for elsewhere in ("file:///elsewhere/size.json", "FILE:///elsewhere/size.json"):
        with pytest.raises(SchemaError, match="documents that are not there"):
            load_schema(referring(tmp_path, elsewhere), [tmp_path / "refs"])


def test_a_link_that_stays_in_the_folder_is_followed(tmp_path: Path) -> None:
    write(tmp_path / "versions" / "2" / "size.json", INTEGER)
    (tmp_path / "size.json").symlink_to(tmp_path / "versions" / "2" / "size.json")

    assert verdicts(load_schema(referring(tmp_path, "size.json"), [tmp_path])) == ONLY_NUMBERS


def test_all_that_is_missing_is_named_with_the_options_to_type(tmp_path: Path) -> None:
    schema = write(
        tmp_path / "event.json",
        {
            "properties": {
                "a": {"$ref": "https://a.example/s/one.json#/$defs/x"},
                "b": {"$ref": "parts/two.json"},
            },
            "$defs": {"c": {"$ref": "urn:example:three"}, "d": {"$ref": "found.json"}},
        },
    )
    write(tmp_path / "refs" / "found.json", {"$ref": "https://b.example/four.json"})

    with pytest.raises(SchemaError) as caught:
        load_schema(schema, [tmp_path / "refs" / "found.json", tmp_path / "refs"])

    message = str(caught.value)
    two = tmp_path / "parts" / "two.json"
    for named in ("https://a.example/s/one.json (at /properties/a/$ref)", two.as_uri()):
        assert named in message
    assert "urn:example:three (at /$defs/c/$ref)" in message
    assert f"--schema-ref {two}" in message
    assert "--schema-ref one.json" in message


def test_two_documents_that_could_be_meant_are_both_named(tmp_path: Path) -> None:
    one = write(tmp_path / "1" / "size.json", INTEGER)
    two = write(tmp_path / "2" / "size.json", {"type": "string"})
    schema = referring(tmp_path, "https://a.example/size.json")

    with pytest.raises(SchemaError, match=f"Both {one} and {two} could be https://a.example/"):
        load_schema(schema, [one.parent, two.parent])
    write(two, INTEGER)
    assert verdicts(load_schema(schema, [one.parent, two.parent])) == ONLY_NUMBERS


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "size.json is not JSON"),
        ('{"type":"text","type":"integer"}', "size.json has a key more than once .* /type"),
        ('{"$schema":"http://json-schema.org/draft-03/schema#"}', "size.json has the .schema"),
    ],
)
def test_a_document_that_cannot_be_used_is_named(content: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "size.json").write_text(content)
    (tmp_path / "other.json").write_text(content)

    with pytest.raises(SchemaError, match=words):
        load_schema(referring(tmp_path / "s", "https://a.example/size.json"), [tmp_path])


def test_a_document_that_was_named_has_to_be_there(tmp_path: Path) -> None:
    schema = write(tmp_path / "event.json", INTEGER)
    for name in ("gone.json", "event.json/none", "nul\0"):
        with pytest.raises(SchemaError, match="Cannot read the schema"):
            load_schema(schema, [tmp_path / name])


def test_other_files_of_a_folder_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "notes.txt").write_text("size")
    write(tmp_path / "x.json", {"$id": "https://a.example/size", **INTEGER})

    schema = referring(tmp_path / "s", "https://a.example/size")
    assert verdicts(load_schema(schema, [tmp_path])) == ONLY_NUMBERS


def test_the_version_of_a_schema_changes_with_what_it_refers_to(tmp_path: Path) -> None:
    part = write(tmp_path / "size.json", INTEGER)
    schema = referring(tmp_path, "size.json")
    first = load_schema(schema, [tmp_path]).version
    assert load_schema(schema, [tmp_path, part]).version == first
    write(part, {"type": "string"})
    assert load_schema(schema, [tmp_path]).version != first


def test_references_are_set_by_flags_a_variable_or_a_file(tmp_path: Path) -> None:
    config = tmp_path / "dlmon.toml"
    config.write_text('schema_refs = ["a", "b"]')
    both = (Path("a"), Path("b"))

    assert load_settings({}, {}, config).schema_refs == both
    config.write_text('schema_refs = "a:b"')
    assert load_settings({"schema_refs": []}, {}, config).schema_refs == both
    assert load_settings({}, {"DLMON_SCHEMA_REFS": "a:b"}).schema_refs == both
    flags = {"schema_refs": [Path("a"), Path("b")]}
    assert load_settings(flags, {"DLMON_SCHEMA_REFS": "c"}).schema_refs == both
