"""Tests fork `dlmon` from a process that has imported it: nobody sees the difference."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.environment import bare_environment
from tests.support.events import make_body
from tests.support.fork_server import LARGEST_REQUEST
from tests.support.processes import DLMON, run, start

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="commands are forked on Linux alone"),
]

STREAMS = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def forked(tmp_path: Path) -> Start:
    """Starts `dlmon` with its streams in pipes."""

    def fork(*arguments: str) -> subprocess.Popen[str]:
        environment = bare_environment(tmp_path)
        return start([*DLMON, *arguments], environment, tmp_path, text=True, **STREAMS)

    return fork


@pytest.mark.parametrize(
    "arguments",
    [
        ["--version"],
        ["--help"],
        ["--no-such-option"],
        ["validate-file", "-"],
        ["validate-file", "--json", "-"],
        ["validate-file", "there-is-no-such-file"],
        ["status", "--broker", "sqlite:///broker.db"],
    ],
    ids=" ".join,
)
def test_it_prints_and_exits_as_when_python_starts(arguments: list[str], tmp_path: Path) -> None:
    command, environment = [*DLMON, *arguments], bare_environment(tmp_path)
    text = f"{make_body().decode()}\nnot an event ☃\n"
    started = subprocess.run(
        command,
        env=environment,
        cwd=tmp_path,
        input=text,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )

    forked = run(command, environment, tmp_path, text, 180, text=True)

    assert vars(forked) == vars(started)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_it(forked: Start, number: signal.Signals) -> None:
    with forked("validate-file", "-") as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.1)
        assert process.poll() is None

        process.send_signal(number)

        assert process.wait(60) in {-number, 130}


def test_many_at_once_have_their_own_streams_and_codes(forked: Start) -> None:
    processes = [forked("validate-file", "-") for _ in range(6)]
    for number, process in enumerate(processes):
        valid = number % 2 == 0
        stdout, _ = process.communicate(make_body().decode() if valid else "{}", 60)
        assert ("1 valid" in stdout, process.returncode) == (valid, 0 if valid else 1)


def test_what_python_reads_at_its_start_is_that_of_the_command(tmp_path: Path) -> None:
    environment = bare_environment(tmp_path) | {"PYTHONIOENCODING": "latin-1"}
    done = run([*DLMON, "validate-file", "☃"], environment, tmp_path, b"", 180)
    assert b"\\u2603" in done.stderr


def test_more_arguments_than_the_server_takes_reach_it(tmp_path: Path) -> None:
    names = ["x" * 100] * (LARGEST_REQUEST // 100)
    command = [*DLMON, "validate-file", *names]
    done = run(command, bare_environment(tmp_path), tmp_path, "", 180, text=True)
    assert done.returncode == 2
    assert "No such file" in done.stderr or "does not exist" in done.stderr, done.stderr[:500]
