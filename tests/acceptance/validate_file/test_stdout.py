"""What reaches stdout: all of it, or a word of why not."""

from __future__ import annotations

import json
import os
import select
import signal
from pathlib import Path

import pytest

from tests.support.events import make_body
from tests.support.messages import wait_until
from tests.support.validate_file import ValidateFile

GOOD = make_body() + b"\n"
BAD = make_body(file_size=-1) + b"\n"
MANY = 2_000


def waits(writable: int) -> bool:
    """Whether a pipe takes no more, so that whoever writes waits."""
    return not select.select([], [writable], [], 0)[1]


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_signal_while_a_pipe_is_full_loses_nothing(
    validate: ValidateFile, unbuffered: str
) -> None:
    (validate.folder / "events").write_bytes(GOOD * MANY)
    readable, writable = os.pipe()
    with (
        validate.start(
            "events", "--split-valid", "-", stdout=writable, PYTHONUNBUFFERED=unbuffered
        ) as process,
        os.fdopen(readable, "rb") as pipe,
    ):
        wait_until(lambda: waits(writable))
        os.close(writable)
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        process.send_signal(signal.SIGCONT)
        assert pipe.read() == GOOD * MANY


def test_ctrl_c_ends_it_while_nobody_reads_on(validate: ValidateFile) -> None:
    (validate.folder / "events").write_bytes(GOOD * MANY)
    with validate.start("events", "--split-valid", "-") as process:
        assert process.stdout is not None
        assert process.stdout.read(1)
        process.send_signal(signal.SIGINT)
        assert process.wait(90) == 130
        assert process.stderr is not None
        assert process.stderr.read().endswith(b"was left; not all events were checked.\n")


def test_a_pipe_that_does_not_wait_gets_everything(validate: ValidateFile) -> None:
    (validate.folder / "events").write_bytes(GOOD * MANY)
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    with (
        validate.start("events", "--split-valid", "-", stdout=writable),
        os.fdopen(readable, "rb") as pipe,
    ):
        os.close(writable)
        assert pipe.read() == GOOD * MANY


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("arguments", [(), ("--json",), ("--output", "ndjson"), ("--quiet",)])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_is_no_verdict(
    validate: ValidateFile, unbuffered: str, arguments: tuple[str, ...]
) -> None:
    (validate.folder / "events").write_bytes(BAD)
    with (
        Path("/dev/full").open("wb") as disk,
        validate.start(
            "events", *arguments, stdout=disk.fileno(), PYTHONUNBUFFERED=unbuffered
        ) as process,
    ):
        err = process.communicate()[1].decode().splitlines()
    if arguments == ("--quiet",):
        assert (err, process.returncode) == ([], 1)
    else:
        assert err[-1] == "dlmon: Cannot write to stdout: No space left on device."
        assert process.returncode == 2


@pytest.mark.parametrize(
    ("events", "arguments", "code"),
    [
        (GOOD, (), 0),
        (BAD, (), 1),
        (BAD, ("--json",), 1),
        (BAD + GOOD * MANY, ("--max-errors", "0"), 1),
        (GOOD * 10 * MANY, ("--split-valid", "-"), 2),  # what was not checked is not valid
    ],
)
def test_the_exit_code_is_a_verdict_also_when_nobody_reads(
    validate: ValidateFile, events: bytes, arguments: tuple[str, ...], code: int
) -> None:
    (validate.folder / "events").write_bytes(events)
    with validate.start("events", *arguments) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(90) == code
        assert process.stderr is not None
        assert b"Traceback" not in process.stderr.read()


def test_closed_streams_are_an_error(validate: ValidateFile) -> None:
    (validate.folder / "events").write_bytes(BAD)
    for redirection, words in (("<&-", b"no stdin"), (">&-", b"no stdout")):
        done = validate.in_shell(f"dlmon validate-file events - {redirection}")
        assert words in done.stderr
        assert done.returncode == 2
    assert validate.in_shell("dlmon validate-file events --quiet >&- 2>&-").returncode == 1


def test_machines_get_utf_8_whatever_the_locale_says(validate: ValidateFile) -> None:
    (validate.folder / "☃").write_bytes(BAD)
    done = validate("☃", "--json", PYTHONIOENCODING="latin-1")
    assert json.loads(done.stdout)["files"][0]["file"] == "☃"
    assert validate("☃", PYTHONIOENCODING="latin-1").stdout.startswith(b"\\u2603:1:")
