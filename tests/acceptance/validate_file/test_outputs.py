from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from dlmon.validation.violations import DUPLICATE_KEY
from tests.support.events import make_body, make_event
from tests.support.validate_file import ValidateFile

EVENT = make_event(file_size="1")
LINES = [
    make_body(),
    json.dumps(EVENT).encode(),
    b'{"a":1,\x1b]0;"a":2}',
    b'{"<b>":1,"<b>":2}',
]
COLUMN = LINES[1].decode().index('"1"') + 1
NAME = "folder/a, b%.ndjson"


@pytest.fixture
def events(validate: ValidateFile) -> ValidateFile:
    (validate.folder / "folder").mkdir()
    (validate.folder / NAME).write_bytes(b"\n".join(LINES))
    return validate


def test_ndjson_is_a_finding_a_line(events: ValidateFile) -> None:
    done = events(NAME, "--output", "ndjson")
    first, second, third = map(json.loads, done.stdout.splitlines())
    assert first == {
        "file": NAME,
        "line": 2,
        "column": COLUMN,
        "end_line": 2,
        "end_column": COLUMN + 3,
        "code": "type",
        "path": "/file_size",
        "reason": '"1" is not of type "integer"',
        "event_id": EVENT["event_id"],
    }
    assert (second["code"], second["column"]) == ("not-json", 8)
    assert (third["code"], third["path"], third["column"]) == (DUPLICATE_KEY, "/<b>", 10)
    assert done.stderr == b"4 events: 1 valid, 3 invalid, 3 findings.\n"


def test_github_gets_annotations(events: ValidateFile) -> None:
    done = events(NAME, "missing", "--output", "github")
    lines = done.stdout.decode().splitlines()
    assert lines[0] == (
        f"::error file=folder/a%2C b%25.ndjson,line=2,endLine=2,col={COLUMN},"
        f'endColumn={COLUMN + 3},title=type at /file_size::"1" is not of type "integer"'
    )
    assert lines[-1].startswith("::error file=missing,line=1::Cannot read missing")
    assert len(lines) == 4


def test_sarif_has_rules_results_and_what_could_not_be_read(events: ValidateFile) -> None:
    done = events(NAME, "missing", "--output", "sarif")
    document = json.loads(done.stdout)
    (run,) = document["runs"]
    assert document["version"] == "2.1.0"
    assert run["columnKind"] == "unicodeCodePoints"
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert rules == ["type", "not-json", DUPLICATE_KEY]
    assert {result["ruleId"] for result in run["results"]} == set(rules)
    location = run["results"][0]["locations"][0]["physicalLocation"]
    assert location["artifactLocation"]["uri"] == "folder/a%2C%20b%25.ndjson"
    assert location["region"] == {
        "startLine": 2,
        "startColumn": COLUMN,
        "endLine": 2,
        "endColumn": COLUMN + 3,
    }
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is False
    assert len(invocation["toolExecutionNotifications"]) == 1


def test_junit_has_a_suite_for_each_file(events: ValidateFile) -> None:
    (events.folder / "good.ndjson").write_bytes(LINES[0])
    done = events("good.ndjson", NAME, "missing", "--output", "junit")
    suites = ET.fromstring(done.stdout).findall("testsuite")  # noqa: S314  (our own output)
    assert [suite.get("name") for suite in suites] == ["good.ndjson", NAME, "missing"]
    numbers = [[suite.get(name) for name in ("tests", "failures", "errors")] for suite in suites]
    assert numbers == [["1", "0", "0"], ["3", "3", "0"], ["1", "0", "1"]]
    assert [len(suite.findall("testcase")) for suite in suites] == [1, 3, 1]


@pytest.mark.parametrize("output", ["json", "ndjson", "github", "sarif", "junit"])
def test_machine_output_is_alone_on_stdout_and_safe(events: ValidateFile, output: str) -> None:
    done = events(NAME, "missing", "--output", output)
    assert b"\x1b" not in done.stdout
    assert b"Cannot read missing" in done.stderr
    assert done.returncode == 2


def test_a_summary_groups_by_code_and_path(events: ValidateFile) -> None:
    (events.folder / "more.ndjson").write_bytes(LINES[1] + b"\n" + LINES[1])
    done = events(NAME, "more.ndjson", "--summary")
    lines = done.stdout.decode().splitlines()
    assert lines[0].split() == ["3", "type", "at", "/file_size"]
    assert lines[1].strip() == f'{NAME}:2:{COLUMN}: "1" is not of type "integer"'
    assert len(lines) == 7
    groups = json.loads(events(NAME, "more.ndjson", "--summary", "--json").stdout)["groups"]
    assert [group["findings"] for group in groups] == [3, 1, 1]


def test_no_more_findings_than_wanted_are_shown_and_all_are_counted(events: ValidateFile) -> None:
    (events.folder / "many.ndjson").write_bytes(b"{}\n" * 300)
    done = events("many.ndjson", NAME)
    lines = done.stdout.decode().splitlines()
    assert sum(line.startswith("many.ndjson:") and ": required" in line for line in lines) == 100
    assert "many.ndjson: 1,400 more findings; --max-errors 0 shows all of them." in lines
    assert lines[-1] == "304 events: 1 valid, 303 invalid, 1,503 findings."
    assert len(events("many.ndjson", "--max-errors", "0").stdout.splitlines()) == 1501
    assert len(events("many.ndjson", "--max-errors", "1").stdout.splitlines()) == 3
    assert len(json.loads(events("many.ndjson", "--json").stdout)["findings"]) == 1500
    first = events("many.ndjson", "--first", "--max-errors", "1").stdout.decode().splitlines()
    assert first[-1] == "300 events: 0 valid, 300 invalid, 300 findings."


def test_quiet_says_nothing_but_what_could_not_be_read(events: ValidateFile) -> None:
    done = events(NAME, "--quiet")
    assert (done.stdout, done.stderr, done.returncode) == (b"", b"", 1)
    assert events(NAME, "missing", "-q").stderr.startswith(b"dlmon: Cannot read missing")


def test_a_terminal_shows_the_place(validate: ValidateFile) -> None:
    body = json.dumps(make_event(note="é" * 30, file_size="☃☃"), ensure_ascii=False)
    Path(validate.folder, "events.ndjson").write_text(body)
    with validate.on_terminal("events.ndjson") as shown:
        lines = re.sub(r"\x1b\[[0-9;]*m|\r", "", shown.read()).splitlines()
    marks = next(line for line in lines if set(line) == {" ", "^"})
    source = lines[lines.index(marks) - 1]
    assert source[marks.index("^") : marks.rindex("^") + 1] == '"☃☃"'


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--output", "xml"), "choose one of text, json, ndjson"),
        (("--format", "csv"), "choose one of ndjson, json, array"),
        (("--summary", "--output", "sarif"), "--output text or json"),
        (("--split-valid", "-", "--json"), "Only one thing can go to stdout"),
        (("--split-valid", "-", "--split-invalid", "-"), "Only one thing can go to stdout"),
        (("--split-valid", "x", "--unique"), "split first"),
        (("--schema", "missing.json"), "Cannot read the schema missing.json"),
    ],
)
def test_wrong_usage_is_explained_in_one_line(
    validate: ValidateFile, arguments: tuple[str, ...], words: str
) -> None:
    done = validate("-", *arguments)
    assert done.returncode == 2
    assert words in done.stderr.decode()
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == b""


@pytest.mark.parametrize("output", ["text", "json", "ndjson", "github", "sarif", "junit"])
def test_no_report_can_act_on_a_terminal(validate: ValidateFile, output: str) -> None:
    # U+009B is what ESC [ is in one character; U+202E reverses what follows.
    event = make_event(event_id="\x9b31mred\x7f", timestamp="\u202ereversed", file_size=-1)
    (validate.folder / "odd.ndjson").write_text(json.dumps(event, ensure_ascii=False) + "\n")
    done = validate("odd.ndjson", "--output", output)
    assert done.returncode == 1
    shown = done.stdout.decode()
    assert "reversed" in shown
    assert not {"\x9b", "\x7f", "\u202e"} & set(shown)
