"""A schema that `doctor` calls ok works in every command; another one is refused in words."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dlmon.errors import ExitCode
from tests.conftest import settings_for
from tests.support.dlmon import Dlmon
from tests.support.events import make_body

SIZE = {"type": "integer", "minimum": 1}

REFERS_TO_ITS_RELATIVE_ID = {
    "$id": "event",
    "properties": {"file_size": {"$ref": "event#/$defs/size"}},
    "$defs": {"size": SIZE},
}
BUNDLE = {
    "$id": "https://a.example/schemas/event.json",
    "properties": {"file_size": {"$ref": "size.json"}},
    "$defs": {"size": {"$id": "size.json", **SIZE}},
}
HAS_A_METASCHEMA = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "properties": {
        "schema": {"$ref": "http://json-schema.org/draft-07/schema#"},
        "file_size": SIZE,
    },
}
RECURSIVE = {
    "$schema": "https://json-schema.org/draft/2019-09/schema",
    "properties": {"file_size": SIZE, "parent": {"$recursiveRef": "#"}},
}
NEEDS_A_FILE = {"properties": {"file_size": {"$ref": "https://a.example/size.json"}}}


@pytest.fixture
def dlmon(tmp_path: Path, namespace: str) -> Dlmon:
    return Dlmon(settings_for(f"sqlite:///{tmp_path}/broker.db", namespace, tmp_path), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("schema", "files"),
    [
        (REFERS_TO_ITS_RELATIVE_ID, {}),
        (BUNDLE, {}),
        (HAS_A_METASCHEMA, {}),
        (RECURSIVE, {}),
        (NEEDS_A_FILE, {"refs/size.json": SIZE}),
    ],
    ids=["relative-id", "bundle", "metaschema", "recursive", "references"],
)
def test_a_schema_that_doctor_calls_ok_works_in_every_command(
    schema: Any, files: Mapping[str, Any], dlmon: Dlmon, tmp_path: Path
) -> None:
    (tmp_path / "event.json").write_text(json.dumps(schema))
    (tmp_path / "refs").mkdir()
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))
    bodies = [make_body(file_size=0 if number % 10 == 0 else number) for number in range(100)]
    (tmp_path / "events.ndjson").write_bytes(b"\n".join(bodies))
    options = ("--schema", "event.json", "--schema-ref", "refs")
    database = tmp_path / "events.db"
    store = ("--store", f"sqlite:///{database}")

    assert "ok      schema: " in dlmon("doctor", *store, *options).stdout
    checked = dlmon("validate-file", *options, "events.ndjson")
    assert "100 events: 90 valid, 10 invalid, 10 findings." in checked.stdout + checked.stderr
    assert checked.returncode == ExitCode.INVALID_DATA
    sent = dlmon("produce", "--from", "events.ndjson", "--rate", "0", *options)
    assert sent.returncode == ExitCode.DONE, sent.stderr
    consumed = dlmon("consume", "--until-empty", "--workers", "2", *store, *options)
    assert consumed.returncode == ExitCode.DONE, consumed.stderr
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (90,)
    looked = dlmon("inspect-rejects", "--revalidate", *options)
    assert "Of 10, 0 would pass now." in looked.stdout
    assert "minimum at /file_size" in looked.stdout
    kept = dlmon("replay-rejects", "--dry-run", *options)
    assert kept.returncode == ExitCode.DONE, kept.stderr
    assert "Traceback" not in kept.stderr


@pytest.mark.parametrize("schema", [{"$schema": ""}, NEEDS_A_FILE], ids=["draft", "references"])
@pytest.mark.parametrize(
    "command",
    [
        ("validate-file", "events.ndjson"),
        ("consume", "--until-empty"),
        ("consume", "--until-empty", "--workers", "2"),
        ("inspect-rejects", "--revalidate"),
        ("replay-rejects", "--dry-run"),
        ("doctor",),
    ],
    ids=" ".join,
)
def test_a_schema_that_cannot_be_used_is_refused_by_every_command(
    command: tuple[str, ...], schema: Any, dlmon: Dlmon, tmp_path: Path
) -> None:
    (tmp_path / "event.json").write_text(json.dumps(schema))
    (tmp_path / "events.ndjson").write_bytes(make_body())

    done = dlmon(*command, "--schema", "event.json")

    assert done.returncode == ExitCode.USAGE, done.stderr
    assert "The schema event.json " in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
