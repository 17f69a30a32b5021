from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.support.events import make_body, make_event
from tests.support.validate_file import ValidateFile

NDJSON = b"\r\n".join(
    [
        make_body(),
        b"",
        json.dumps(make_event(note="héllo ☃", file_size="1"), ensure_ascii=False).encode(),
        b'{"a": tru}',
        make_body(),
    ]
)
COLUMN = NDJSON.decode().split("\r\n")[2].index('"1"') + 1


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_findings_have_file_line_and_column(
    validate: ValidateFile, tmp_path: Path, pack: type
) -> None:
    (tmp_path / "events").write_bytes(pack(NDJSON))
    done = validate("events")
    assert done.stdout.decode().splitlines() == [
        f'events:3:{COLUMN}: type at /file_size: "1" is not of type "integer"',
        "events:4:7: not-json: invalid literal, expected 'true'",
        "4 events: 2 valid, 2 invalid, 2 findings.",
    ]
    assert (done.stderr, done.returncode) == (b"", 1)


def test_stdin_is_a_file_too(validate: ValidateFile) -> None:
    done = validate("-", stdin=NDJSON)
    assert done.stdout.startswith(f"<stdin>:3:{COLUMN}: type at /file_size".encode())
    assert done.returncode == 1


def test_events_in_a_pretty_printed_array_are_reported_where_they_stand(
    validate: ValidateFile, tmp_path: Path
) -> None:
    events = [make_event(), make_event(coordinates={"latitude": 91})]
    (tmp_path / "events.json").write_text(json.dumps(events, indent=2))
    done = validate("events.json")
    assert done.stdout.decode().splitlines() == [
        'events.json:15:20: required at /coordinates: "longitude" is a required property',
        "events.json:16:19: maximum at /coordinates/latitude: 91 is greater than the maximum of 90",
        "2 events: 1 valid, 1 invalid, 2 findings.",
    ]


def test_valid_events_exit_with_0(validate: ValidateFile) -> None:
    done = validate("-", stdin=make_body() + b"\n" + make_body() + b"\n")
    assert (done.stdout, done.returncode) == (b"2 events: 2 valid.\n", 0)


def test_a_file_that_cannot_be_read_leaves_the_others_checked(
    validate: ValidateFile, tmp_path: Path
) -> None:
    (tmp_path / "cut.gz").write_bytes(gzip.compress((NDJSON + b"\n") * 100)[:-20])
    done = validate("missing", "cut.gz", "-", stdin=make_body())
    assert done.returncode == 2
    assert b"Cannot read missing: No such file or directory." in done.stderr
    assert b"Cannot read cut.gz to its end: its gzip data is cut off." in done.stderr
    assert b"It was checked up to line " in done.stderr
    assert b"Traceback" not in done.stderr
    assert done.stdout.endswith(b" findings, 2 files not read to the end.\n")


def test_json_is_one_document_on_stdout(validate: ValidateFile) -> None:
    done = validate("-", "missing", "--json", stdin=NDJSON)
    document = json.loads(done.stdout)
    assert [one["line"] for one in document["findings"]] == [3, 4]
    summary = {"events": 4, "valid": 2, "invalid": 2, "findings": 2, "unreadable": 1}
    assert document["summary"].items() >= summary.items()
    assert [one["error"] is None for one in document["files"]] == [True, False]
