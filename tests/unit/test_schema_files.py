"""Schema files that are not quite JSON, or that no validator should have to guess about."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from dlmon.errors import SchemaError
from dlmon.validation.schema import load_schema
from dlmon.validation.validator import Validator

TEXT = '{"type": "integer"}'


def test_a_byte_order_mark_in_front_of_a_schema_means_nothing(tmp_path: Path) -> None:
    file = tmp_path / "schema.json"
    file.write_text(TEXT, "utf-8-sig")
    with_mark = load_schema(file)
    file.write_text(TEXT)
    assert with_mark.digest == load_schema(file).digest
    assert not Validator(with_mark).validate(b'"1"').valid


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (TEXT.encode("utf-16"), "it looks like UTF-16"),
        (TEXT.encode("utf-16-le"), "it looks like UTF-16"),
        (gzip.compress(TEXT.encode(), mtime=0), "it looks like gzip"),
        (b"type: integer", "is not JSON"),
        (b"\xef\xbb\xbf", "is not JSON"),
    ],
)
def test_a_file_that_is_no_json_says_what_it_looks_like(
    content: bytes, words: str, tmp_path: Path
) -> None:
    file = tmp_path / "schema.json"
    file.write_bytes(content)
    with pytest.raises(SchemaError, match=words):
        load_schema(file)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('{"type":"string","type":"integer"}', "at /type:"),
        ('{"properties":{"a":{},"\\u0061":{}}}', "at /properties/a:"),
        ('{"$defs":{"x":{"enum":[{"k":1,"k":2}]}}}', "at /\\$defs/x/enum/0/k:"),
        ('\ufeff{"":1,"":2,"a":1,"a":2}', "at /, /a:"),
    ],
)
def test_a_key_that_stands_twice_in_a_schema_is_refused(
    text: str, where: str, tmp_path: Path
) -> None:
    file = tmp_path / "schema.json"
    file.write_text(text)
    with pytest.raises(SchemaError, match=f"a key more than once in one object, {where}"):
        load_schema(file)


@pytest.mark.parametrize("keyword", ["not", "allOf", "properties", "items", "const", "x"])
@pytest.mark.parametrize("levels", [40, 130, 201, 300, 1000, 3000])
def test_a_deep_schema_is_used_or_refused_in_words(
    keyword: str, levels: int, tmp_path: Path
) -> None:
    file = tmp_path / "schema.json"
    before, after = ("[{", "}]") if keyword == "allOf" else ("{", "}")
    file.write_text("{" + f'"{keyword}":{before}' * levels + after * levels + "}")
    try:
        schema = load_schema(file)
    except SchemaError as error:
        assert "deep" in str(error) or "is not JSON" in str(error)  # noqa: PT017
        assert levels > 40
    else:
        assert schema.version
        assert Validator(schema).validate(b"1").valid == schema.all_valid([1])
