"""Commands where the system allows no more processes, threads or open files."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.support.events import make_body
from tests.support.limited import RUN_DLMON, limited

BROKER = ("--broker", "sqlite:///broker.db")
STORE = ("--store", "sqlite:///store.db")
BAD = make_body(file_size=-1) + b"\n"
MANY = 30_000
NO_PROCESSES = "no more processes or threads are allowed"
NO_FILES = "no more files may be open"


def run(folder: Path, arguments: Sequence[str], **limits: int) -> subprocess.CompletedProcess[str]:
    named = {f"RLIMIT_{name}": most for name, most in limits.items()}
    done = limited(RUN_DLMON, folder, *arguments, limits=named)
    assert "Traceback" not in done.stderr
    return done


@pytest.mark.parametrize(("processes", "started"), [(1, 1), (2, 2), (3, 3)])
def test_a_file_is_checked_in_as_many_processes_as_can_be_started(
    tmp_path: Path, processes: int, started: int
) -> None:
    (tmp_path / "events").write_bytes((make_body() + b"\n") * MANY)
    arguments = ("validate-file", "events", "--jobs", "4", "--json")
    done = run(tmp_path, arguments, NPROC=processes)
    assert json.loads(done.stdout)["summary"]["valid"] == MANY
    assert f"{started} of 4 processes could be started: {NO_PROCESSES}" in done.stderr
    assert done.returncode == 0


@pytest.mark.parametrize("files", [8, 12, 20, 24, 30])
def test_workers_leave_open_files_for_the_rest(tmp_path: Path, files: int) -> None:
    (tmp_path / "events").write_bytes((make_body() + b"\n") * MANY + BAD)
    arguments = ("validate-file", "events", "--jobs", "9", "--unique", "--output", "junit")
    done = run(tmp_path, arguments, NOFILE=files)
    assert ET.fromstring(done.stdout).tag == "testsuites"  # noqa: S314  (our own output)
    assert f"of 9 processes could be started: {NO_FILES}" in done.stderr
    assert done.returncode == 1


@pytest.mark.parametrize("files", [4, 5, 6, 7])
@pytest.mark.parametrize(
    "arguments",
    [
        ("validate-file", "events", "--output", "junit"),
        ("produce", "--to-stdout", "--count", "1"),
        ("consume", *BROKER, *STORE, "--until-empty"),
        ("consume", *BROKER, *STORE, "--until-empty", "--workers", "2"),
        ("inspect-rejects", *BROKER),
    ],
    ids=lambda arguments: f"{arguments[0]}{len(arguments)}",
)
def test_without_open_files_a_command_says_so(
    tmp_path: Path, arguments: Sequence[str], files: int
) -> None:
    (tmp_path / "events").write_bytes(BAD)
    done = run(tmp_path, arguments, NOFILE=files)
    assert NO_FILES in done.stderr or "Too many open files" in done.stderr
    assert done.returncode == 2
    if "junit" in arguments and done.stdout:
        assert ET.fromstring(done.stdout).tag == "testsuites"  # noqa: S314  (our own output)


@pytest.mark.slow
def test_without_threads_a_command_works_or_says_so(tmp_path: Path) -> None:
    printed = run(tmp_path, ("produce", "--to-stdout", "--count", "2", "--rate", "0"), NPROC=1)
    assert (printed.stdout.count("event_id"), printed.returncode) == (2, 0)
    for arguments in (
        ("produce", *BROKER, "--count", "2"),
        ("consume", *BROKER, *STORE, "--until-empty"),
        ("consume", *BROKER, *STORE, "--until-empty", "--workers", "2"),
    ):
        done = run(tmp_path, arguments, NPROC=1)
        assert NO_PROCESSES in done.stderr
        assert done.returncode == 2


def test_a_stop_works_without_a_thread_for_signals(tmp_path: Path) -> None:
    code = (
        "import os, signal, threading\n"
        "from dlmon.cli.signals import stop_on_signals\n"
        "for number in (signal.SIGTERM, signal.SIGINT):\n"
        "    with stop_on_signals() as stop:\n"
        "        assert threading.active_count() == 1\n"
        "        os.kill(os.getpid(), number)\n"
        "        assert stop.wait(9)\n"
        "with stop_on_signals() as stop:\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
    )
    done = limited(code, tmp_path, limits={"RLIMIT_NPROC": 1})
    assert (done.returncode, done.stderr) == (130, "")


def test_work_that_does_not_end_after_a_stop_is_left_without_a_thread_for_signals(
    tmp_path: Path,
) -> None:
    code = (
        "import os, signal, time\n"
        "from dlmon.cli import signals\n"
        "signals.GRACE = 0.1\n"
        "with signals.stop_on_signals('it will come again') as stop:\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    time.sleep(20)\n"
    )
    done = limited(code, tmp_path, limits={"RLIMIT_NPROC": 1})
    assert done.returncode == 130
    assert "did not finish within 0.1 s and was left; it will come again." in done.stderr


@pytest.mark.slow
def test_consume_goes_on_with_the_workers_that_can_be_started(tmp_path: Path) -> None:
    assert run(tmp_path, ("produce", *BROKER, "--count", "50", "--rate", "0")).returncode == 0
    # The third of these processes has room for some of its threads, and there is none for a fourth.
    arguments = ("consume", *BROKER, *STORE, "--until-empty", "--workers", "30")
    done = run(tmp_path, arguments, NOFILE=40)
    assert "cannot be started: no more files may be open" in done.stderr
    assert "Going on without it." in done.stderr
    assert done.returncode == 0
    assert "50 stored" in done.stderr


@pytest.mark.parametrize("files", [10, 16])
def test_a_page_that_could_not_open_its_files_is_not_started(tmp_path: Path, files: int) -> None:
    done = run(tmp_path, ("serve", *BROKER, *STORE, "--port", "0"), NOFILE=files)
    assert NO_FILES in done.stderr
    assert "Open http" not in done.stderr
    assert done.returncode == 2
