"""Every command, where a home folder, a stream or a terminal is not what it usually is."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import IO, ClassVar

import pytest

from tests.support.events import make_body
from tests.support.messages import wait_until

NO_PLACE = "dlmon: There is no place for dlmon's data: "


def run(
    folder: Path,
    *arguments: str,
    wrapper: tuple[str, ...] = (),
    variables: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run dlmon with no other variables than these."""
    return subprocess.run(
        [*wrapper, sys.executable, "-m", "dlmon", *arguments],
        env={"PATH": os.environ["PATH"], "DLMON_LOG_FORMAT": "console", **(variables or {})},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


@pytest.fixture
def events(tmp_path: Path) -> Path:
    file = tmp_path / "events.ndjson"
    file.write_bytes(make_body() + b"\n")
    return file


_AS_NO_USER = ("unshare", "--user", "--map-user=4242")


@pytest.fixture
def as_no_user() -> tuple[str, ...]:
    """Runs a program as `docker run --user 4242` does: without a line in /etc/passwd, not root."""
    if subprocess.run([*_AS_NO_USER, "true"], capture_output=True, check=False).returncode:
        pytest.skip("unshare(1) cannot make a user namespace here")
    return _AS_NO_USER


@pytest.fixture(params=["none", "closed", "/dev/null"])
def dlmon(
    request: pytest.FixtureRequest, tmp_path: Path, as_no_user: tuple[str, ...]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`run` without a home folder that can be used."""
    closed = tmp_path / "closed"
    closed.mkdir(0o000)
    homes = {"none": {}, "closed": {"HOME": str(closed)}, "/dev/null": {"HOME": "/dev/null"}}
    return partial(run, tmp_path, wrapper=as_no_user, variables=homes[request.param])


class TestWithoutAHome:
    def test_files_are_validated(
        self, dlmon: Callable[..., subprocess.CompletedProcess[str]], events: Path
    ) -> None:
        done = dlmon("validate-file", events.name)
        assert (done.returncode, done.stdout) == (0, "1 event: 1 valid.\n"), done.stderr

    def test_events_flow_between_files_that_are_named(
        self, as_no_user: tuple[str, ...], events: Path
    ) -> None:
        broker = ("--broker", "sqlite:///broker.db")
        store = ("--store", "ndjson:stored.ndjson")
        for arguments in (
            ("produce", *broker, "--from", events.name, "--rate", "0"),
            ("consume", *broker, *store, "--until-empty"),
            ("status", *broker),
            ("inspect-rejects", *broker),
            ("doctor", *broker, *store),
        ):
            done = run(events.parent, *arguments, wrapper=as_no_user)
            assert done.returncode == 0, (arguments, done.stderr)
        assert (events.parent / "stored.ndjson").read_bytes() == events.read_bytes()

    @pytest.mark.parametrize(
        "arguments",
        [
            ["demo", "--seconds", "0.1"],
            ["status", "--broker", "local"],
            ["produce", "--broker", "local", "--count", "1"],
            ["replay-rejects", "--broker", "local", "--yes"],
            ["consume", "--broker", "sqlite:///broker.db", "--until-empty"],
            ["consume", "--broker", "sqlite:///broker.db", "--until-empty", "--workers", "2"],
        ],
    )
    def test_what_needs_the_data_folder_says_how_to_do_without(
        self, tmp_path: Path, arguments: list[str]
    ) -> None:
        done = run(tmp_path, *arguments, variables={"HOME": "/dev/null"})
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(NO_PLACE)
        assert done.stderr.count("\n") == 1

    def test_a_local_broker_has_no_place(
        self, dlmon: Callable[..., subprocess.CompletedProcess[str]]
    ) -> None:
        done = dlmon("status", "--broker", "local")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(NO_PLACE)

    def test_doctor_says_so_and_goes_on(
        self, dlmon: Callable[..., subprocess.CompletedProcess[str]]
    ) -> None:
        done = dlmon("doctor", "--json", "--broker", "sqlite:///broker.db")
        checks = [json.loads(line) for line in done.stdout.splitlines()]
        assert done.returncode == 2
        assert [check["state"] for check in checks][:2] == ["ok", "failed"]
        assert len(checks) > 2

    @pytest.mark.parametrize("home", [{}, {"HOME": "/dev/null"}])
    def test_completion_cannot_be_installed_but_printed(
        self, as_no_user: tuple[str, ...], home: dict[str, str], tmp_path: Path
    ) -> None:
        # So that typer takes the name of a shell rather than looking for one.
        variables = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1", **home}
        done = run(
            tmp_path, "--install-completion", "bash", wrapper=as_no_user, variables=variables
        )
        assert done.returncode == 2
        assert "--show-completion prints it" in done.stderr
        shown = run(tmp_path, "--show-completion", "bash", wrapper=as_no_user, variables=variables)
        assert (shown.returncode, shown.stderr) == (0, "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["validate-file", "-", "--schema", "~no-such-user/x"],
        ["status", "--broker", "sqlite:///~no-such-user/x"],
        ["consume", "--broker", "sqlite:///b.db", "--store", "ndjson:~no-such-user/x"],
    ],
)
def test_the_home_of_a_user_who_does_not_exist_is_named(
    arguments: list[str], tmp_path: Path
) -> None:
    done = run(tmp_path, *arguments, variables={"HOME": str(tmp_path)})
    assert done.returncode == 2
    assert "'~no-such-user' is not known" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_demo_runs_in_the_folder_that_the_message_names(
    tmp_path: Path, as_no_user: tuple[str, ...]
) -> None:
    done = run(
        tmp_path,
        *("demo", "--seconds", "0.2"),
        wrapper=as_no_user,
        variables={"XDG_DATA_HOME": str(tmp_path / "data")},
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "data" / "dlmon" / "events.db").exists()


class TestStderr:
    """Where nothing can be logged, the work is done and the exit code is right."""

    @pytest.fixture(params=["closed", "full", "reader gone"])
    def dlmon(
        self, request: pytest.FixtureRequest, tmp_path: Path
    ) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
        command = [sys.executable, "-m", "dlmon"]
        with ExitStack() as opened:
            stderr: IO[str] | int = subprocess.DEVNULL
            if request.param == "closed":
                command = ["sh", "-c", 'exec "$@" 2>&-', "sh", *command]
            elif request.param == "full":
                stderr = opened.enter_context(Path("/dev/full").open("w"))
            else:
                reader, stderr = os.pipe()
                os.close(reader)
                opened.callback(os.close, stderr)

            def run(*arguments: str) -> subprocess.CompletedProcess[str]:
                return subprocess.run(
                    [*command, *arguments],
                    env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
                    cwd=tmp_path,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=stderr,
                    text=True,
                    timeout=180,
                    check=False,
                )

            yield run

    def test_events_flow(
        self, dlmon: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
    ) -> None:
        broker = ("--broker", "sqlite:///broker.db")
        store = ("--store", "ndjson:stored.ndjson")
        produced = dlmon("produce", *broker, "--count", "30", "--rate", "0")
        assert (produced.returncode, produced.stdout) == (0, "")
        consumed = dlmon("consume", *broker, *store, "--count", "20")
        assert (consumed.returncode, consumed.stdout) == (0, "")
        by_workers = dlmon("consume", *broker, *store, "--until-empty", "--workers", "2")
        assert (by_workers.returncode, by_workers.stdout) == (0, "")
        assert (tmp_path / "stored.ndjson").read_bytes().count(b"\n") == 30

    @pytest.mark.parametrize(
        ("arguments", "code"),
        [
            (["validate-file", "events.ndjson"], 0),
            (["validate-file", "events.ndjson", "broken.ndjson"], 1),
            (["validate-file", "gone.ndjson"], 2),
            (["status", "--broker", "sqlite:///broker.db"], 0),
            (["status", "--nonsense"], 2),
            (["status", "--broker", "nonsense"], 2),
            (["consume", "--broker", "sqlite:////dev/null/x", "--store", "ndjson:x"], 3),
            (["consume", "--broker", "sqlite:///broker.db", "--store", "sqlite:////dev/null/x"], 4),
            (["inspect-rejects", "--list", "--broker", "sqlite:///broker.db"], 0),
            (["discard-rejects", "--all", "--broker", "sqlite:///broker.db"], 2),
            (["--help"], 0),
        ],
    )
    def test_the_exit_code_is_that_of_the_work(
        self,
        dlmon: Callable[..., subprocess.CompletedProcess[str]],
        events: Path,
        arguments: list[str],
        code: int,
    ) -> None:
        (events.parent / "broken.ndjson").write_text("{}\n")
        done = dlmon(*arguments)
        assert done.returncode == code, done.stdout
        assert "Error" not in done.stdout
        assert "dlmon: " not in done.stdout


def test_events_are_stored_while_the_reader_of_the_log_stalls(tmp_path: Path) -> None:
    options = ("--broker", "sqlite:///broker.db", "--store", "ndjson:stored.ndjson")
    assert run(tmp_path, "produce", *options[:2], "--count", "9", "--rate", "0").returncode == 0
    reader, stderr = os.pipe()
    os.set_blocking(stderr, False)
    with suppress(BlockingIOError):
        while os.write(stderr, b"x" * 4096):
            pass
    os.set_blocking(stderr, True)
    process = subprocess.Popen(
        [sys.executable, "-m", "dlmon", "consume", *options, "--until-empty"],
        env={"PATH": os.environ["PATH"]},
        cwd=tmp_path,
        stderr=stderr,
    )
    os.close(stderr)
    stored = tmp_path / "stored.ndjson"
    wait_until(lambda: stored.exists() and stored.read_bytes().count(b"\n") == 9)
    with os.fdopen(reader, "rb") as log:
        log.read()  # the summary is waited for
    assert process.wait(60) == 0


def test_a_file_that_is_opened_never_gets_the_number_of_a_stream(tmp_path: Path) -> None:
    program = (
        "import os; from dlmon.runtime import stdio; stdio.install_reliable_streams();"
        "file = os.open('file', os.O_CREAT | os.O_RDWR);"
        "os.write(2, b'lost'); os.write(1, b'lost');"
        "assert os.read(0, 1) == b''; os._exit(file)"
    )
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-c", program],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
        check=False,
    )
    assert done.returncode > 2
    assert (tmp_path / "file").read_bytes() == b""


@pytest.fixture(scope="module")
def rejects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a broker that has rejects."""
    folder = tmp_path_factory.mktemp("rejects")
    broker = ("--broker", "sqlite:///broker.db")
    run(folder, "produce", *broker, "--count", "40", "--rate", "0", "--invalid", "100%")
    run(folder, "consume", *broker, "--store", "ndjson:stored", "--until-empty")
    return folder


class TestVariables:
    """What is no terminal is not made one by a variable, and has no width by one."""

    ODD: ClassVar[dict[str, str]] = {
        "FORCE_COLOR": "3",
        "TERM": "xterm-256color",
        "TTY_COMPATIBLE": "1",
        "TTY_INTERACTIVE": "1",
        "COLUMNS": "0",
        "LINES": "0",
        "TERMINAL_WIDTH": "wide",
    }

    @pytest.mark.parametrize(
        "arguments",
        [
            ["inspect-rejects"],
            ["inspect-rejects", "--list", "--limit", "40"],
            ["inspect-rejects", "--revalidate"],
            ["inspect-rejects", "--json"],
            ["status"],
            ["status", "--json"],
            ["doctor", "--store", "ndjson:stored"],
            ["discard-rejects", "--all", "--dry-run"],
        ],
        ids=" ".join,
    )
    def test_a_pipe_gets_the_same_text(self, rejects: Path, arguments: list[str]) -> None:
        arguments = [*arguments, "--broker", "sqlite:///broker.db"]
        usual = run(rejects, *arguments)
        odd = run(rejects, *arguments, variables=self.ODD)
        assert usual.returncode == odd.returncode == 0, odd.stderr
        assert usual.stdout
        assert plain(odd.stdout) == plain(usual.stdout)
        assert plain(odd.stderr) == plain(usual.stderr)
        if "--json" in arguments:
            assert "\x1b" not in odd.stdout

    def test_a_service_logs_lines(self, tmp_path: Path) -> None:
        done = run(
            tmp_path,
            *("consume", "--broker", "sqlite:///b.db", "--store", "ndjson:x", "--until-empty"),
            variables=self.ODD,
        )
        assert done.returncode == 0, done.stderr
        first, *_, last = done.stderr.splitlines()
        assert first.endswith(
            "INFO dlmon.consume: Consuming dlmon.arrivals at sqlite:///b.db into ndjson:x."
        )
        assert plain(last).startswith("0 received: 0 stored")

    @pytest.mark.parametrize("width", ["0", "1", "wide", "-1", "²", "9" * 5000])
    def test_help_can_be_read(self, tmp_path: Path, width: str) -> None:
        variables = {"COLUMNS": width, "TERMINAL_WIDTH": width}
        done = run(tmp_path, "status", "--help", variables=variables)
        assert done.returncode == 0, done.stderr
        assert "--max-rejects" in plain(done.stdout)

    def test_forced_colours_are_colours(self, rejects: Path) -> None:
        arguments = ("doctor", "--broker", "sqlite:///broker.db", "--store", "ndjson:stored")
        assert "\x1b[" in run(rejects, *arguments, variables={"FORCE_COLOR": "1"}).stdout
        assert "\x1b" not in run(rejects, *arguments, variables={"FORCE_COLOR": "0"}).stdout
        assert (
            "\x1b"
            not in run(rejects, *arguments, variables={"FORCE_COLOR": "1", "NO_COLOR": "1"}).stdout
        )

    def test_a_width_that_is_given_is_kept_in_a_pipe(self, tmp_path: Path) -> None:
        lines = run(tmp_path, "status", "--help", variables={"COLUMNS": "200"}).stdout.splitlines()
        assert max(map(len, lines)) == 200


@pytest.mark.parametrize("arguments", [["--help"], ["status", "--help"], ["replay-rejects", "-h"]])
def test_help_is_there_without_docstrings(tmp_path: Path, arguments: list[str]) -> None:
    texts = [
        subprocess.run(
            [sys.executable, *option, "-m", "dlmon", *arguments],
            env={"PATH": os.environ["PATH"], "COLUMNS": "100"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for option in ([], ["-OO"])
    ]
    assert texts[0] == texts[1]


def plain(text: str) -> str:
    """Text without its colours, and without what changes from run to run."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", text)
