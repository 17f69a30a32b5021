"""Every command, where a home folder, a stream or a terminal is not what it usually is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.support.events import make_body

NO_PLACE = "dlmon: There is no place for dlmon's data: "


def run(
    folder: Path, *arguments: str, wrapper: tuple[str, ...] = (), **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run dlmon with no other variables than these."""
    return subprocess.run(
        [*wrapper, sys.executable, "-m", "dlmon", *arguments],
        env={"PATH": os.environ["PATH"], "DLMON_LOG_FORMAT": "console", **variables},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
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
    return partial(run, tmp_path, wrapper=as_no_user, **homes[request.param])


class TestWithoutAHome:
    def test_files_are_validated(
        self, dlmon: Callable[..., subprocess.CompletedProcess[str]], events: Path
    ) -> None:
        done = dlmon("validate-file", events.name)
        assert (done.returncode, done.stdout) == (0, "1 event: 1 valid.\n"), done.stderr

    @pytest.mark.slow
    def test_events_flow_between_files_that_are_named(
        self, dlmon: Callable[..., subprocess.CompletedProcess[str]], events: Path
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
            done = dlmon(*arguments)
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
        self, dlmon: Callable[..., subprocess.CompletedProcess[str]], arguments: list[str]
    ) -> None:
        done = dlmon(*arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(NO_PLACE)
        assert done.stderr.count("\n") == 1

    def test_doctor_says_so_and_goes_on(
        self, dlmon: Callable[..., subprocess.CompletedProcess[str]]
    ) -> None:
        done = dlmon("doctor", "--json", "--broker", "sqlite:///broker.db")
        checks = [json.loads(line) for line in done.stdout.splitlines()]
        assert done.returncode == 2
        assert [check["state"] for check in checks][:2] == ["ok", "failed"]
        assert len(checks) > 2

    def test_completion_cannot_be_installed_but_printed(
        self, dlmon: Callable[..., subprocess.CompletedProcess[str]]
    ) -> None:
        shell = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
        done = dlmon("--install-completion", "bash", **shell)
        assert done.returncode == 2
        assert "--show-completion prints it" in done.stderr
        assert dlmon("--show-completion", "bash", **shell).returncode == 0


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
    done = run(tmp_path, *arguments, HOME=str(tmp_path))
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
        XDG_DATA_HOME=str(tmp_path / "data"),
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "data" / "dlmon" / "events.db").exists()
