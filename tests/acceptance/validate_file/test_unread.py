"""Files that cannot be checked: never exit code 0, and never a reason to leave out the others."""

from __future__ import annotations

import gzip
import json
import os
import signal
from contextlib import suppress
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.support.events import make_body
from tests.support.limited import RUN_DLMON, limited
from tests.support.messages import wait_until
from tests.support.validate_file import ValidateFile

GOOD = make_body() + b"\n"
BAD = make_body(file_size=-1) + b"\n"


def events_in(output: bytes) -> int:
    events: int = json.loads(output)["summary"]["events"]
    return events


@pytest.mark.parametrize("name", ["empty.gz", "empty.zst", "EMPTY.NDJSON.GZ"])
def test_an_empty_packed_file_was_not_written_to_its_end(validate: ValidateFile, name: str) -> None:
    (validate.folder / name).touch()
    (validate.folder / "good").write_bytes(GOOD)
    done = validate(name, "good")
    assert b"it is empty" in done.stderr
    assert done.stdout == b"1 event: 1 valid, 1 file not read to the end.\n"
    assert done.returncode == 2


def test_a_packed_file_of_no_events_is_valid(validate: ValidateFile) -> None:
    (validate.folder / "none.gz").write_bytes(gzip.compress(b""))
    done = validate("none.gz")
    assert (done.stdout, done.returncode) == (b"0 events: 0 valid.\n", 0)


@pytest.mark.parametrize("content", [b"", b"\n \n", gzip.compress(b"", mtime=0)])
@pytest.mark.parametrize("layout", ["json", "array"])
def test_json_without_a_value_is_invalid(
    validate: ValidateFile, content: bytes, layout: str
) -> None:
    done = validate("-", "--format", layout, stdin=content)
    assert b"not-json: there is no JSON text" in done.stdout
    assert done.returncode == 1


def test_names_in_capitals_and_globs_over_folders_leave_no_file_out(
    validate: ValidateFile,
) -> None:
    for name in ("B.NDJSON", "a.ndjson", "in/C.Json"):
        (validate.folder / name).parent.mkdir(exist_ok=True)
        (validate.folder / name).write_bytes(GOOD)
    assert events_in(validate(".", "--json").stdout) == 3
    assert events_in(validate(".", "--json", "--glob", "**/*.ndjson").stdout) == 2
    assert events_in(validate(".", "--json", "--glob", "**/*.json").stdout) == 1


@pytest.mark.parametrize("output", ["text", "json", "ndjson", "github", "sarif", "junit"])
def test_what_cannot_be_read_is_reported_and_the_rest_is_checked(
    tmp_path: Path, output: str
) -> None:
    for name in ("bad", "closed", "in/closed/file.json", "in/open.json", "gone/file"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(BAD)
    (tmp_path / "loop").symlink_to("loop")
    closed = ("closed", "in/closed", "gone")
    for name in closed:
        (tmp_path / name).chmod(0)
    unread = [*closed, "gone/file", "missing", "loop", "x" * 300]
    names = ["closed", "in", "gone", "gone/file", "missing", "loop", "x" * 300, "bad"]
    done = limited(RUN_DLMON, tmp_path, "validate-file", *names, "--output", output)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    for name in unread:
        assert f"Cannot read {name}:" in done.stderr or f" {name}: Permission" in done.stderr
    counts = f"2 invalid, 2 findings, {len(unread)} files not read to the end."
    assert counts in (done.stdout if output == "text" else done.stderr)


def test_a_named_pipe_in_a_folder_is_left_alone(validate: ValidateFile) -> None:
    (validate.folder / "in").mkdir()
    os.mkfifo(validate.folder / "in" / "pipe.ndjson")
    (validate.folder / "in" / "events.ndjson").write_bytes(GOOD)
    assert validate("in").stdout == b"1 event: 1 valid.\n"


def whole(output: str, text: bytes) -> bool:
    if output == "junit":
        return ET.fromstring(text).tag == "testsuites"  # noqa: S314  (our own output)
    if output in ("json", "sarif"):
        return isinstance(json.loads(text), dict)
    lines = text.splitlines(keepends=True)
    return all(line.endswith(b"\n") for line in lines)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("output", ["json", "sarif", "junit", "ndjson", "github"])
def test_a_stop_leaves_machine_output_whole(
    validate: ValidateFile, output: str, number: signal.Signals
) -> None:
    (validate.folder / "bad").write_bytes(BAD)
    os.mkfifo(validate.folder / "fifo")  # which is named, so it is waited for
    with validate.start("bad", "fifo", "--output", output, "--unique") as process:
        wait_until(lambda: b"/fifo" in open_files(process.pid))
        process.send_signal(number)
        out, err = process.communicate(timeout=90)
    assert process.returncode == 130
    assert b"Interrupted: this is not all." in err
    assert b"minimum" in out
    assert whole(output, out)


def open_files(pid: int) -> bytes:
    names = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed by now
            names.append(bytes(descriptor.readlink()))
    return b" ".join(names)


@pytest.mark.parametrize("output", ["json", "sarif", "junit"])
def test_an_error_leaves_machine_output_whole(validate: ValidateFile, output: str) -> None:
    (validate.folder / "bad").write_bytes(BAD)
    (validate.folder / "taken").touch()
    done = validate("bad", "--output", output, "--split-valid", "taken")
    assert done.returncode == 2
    assert b"taken exists already" in done.stderr
    assert whole(output, done.stdout)
