"""The commands on rejects where stdin or stdout is closed, or compressed."""

from __future__ import annotations

import gzip
import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from dlmon.brokers import open_broker
from dlmon.config.settings import Settings
from dlmon.messages import Queue
from dlmon.rejects.export import to_line
from dlmon.validation.violations import Violation
from tests.conftest import settings_for
from tests.support.dlmon import Dlmon
from tests.support.events import make_body
from tests.support.rejections import ids, park, rejection, slow

OLD = Violation("type", "/file_size", "what an older schema said")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_for(f"sqlite:///{tmp_path / 'broker.db'}", "dlmon", tmp_path)


def in_shell(dlmon: Dlmon, redirection: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", f"exec {shlex.join(dlmon.command(*arguments))} {redirection}"],
        env=dlmon.environment,
        cwd=dlmon.folder,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


@pytest.mark.parametrize(
    ("redirection", "arguments", "complaint"),
    [
        ("<&-", ["replay-rejects", "--from", "-", "--yes"], "There is no stdin to read"),
        ("<&-", ["replay-rejects", "--from", "-", "--dry-run"], "There is no stdin to read"),
        ("<&-", ["discard-rejects", "--all"], "add --yes"),
        (">&-", ["inspect-rejects", "--json"], "There is no stdout to write to"),
        (">&-", ["inspect-rejects", "--json", "--export", "o"], "There is no stdout to write to"),
    ],
)
def test_a_closed_stream_is_named(
    dlmon: Dlmon, redirection: str, arguments: list[str], complaint: str
) -> None:
    done = in_shell(dlmon, redirection, *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("dlmon: ")
    assert complaint in done.stderr


@pytest.mark.parametrize("arguments", [[], ["--list"], ["--revalidate"]])
def test_a_look_without_a_stdout_is_still_a_look(dlmon: Dlmon, arguments: list[str]) -> None:
    done = in_shell(dlmon, ">&-", "inspect-rejects", *arguments)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_compressed_export_is_read_from_a_pipe(dlmon: Dlmon, tmp_path: Path) -> None:
    (tmp_path / "export").write_bytes(gzip.compress(to_line(slow())))
    done = in_shell(dlmon, "< export", "replay-rejects", "--from", "-", "--dry-run")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"selected +1\b", done.stdout)


@pytest.mark.parametrize("command", [["replay-rejects"], ["discard-rejects", "--all"]])
def test_a_receipt_that_cannot_be_written_ends_the_action_after_the_batch_in_hand(
    dlmon: Dlmon, settings: Settings, command: list[str]
) -> None:
    parked = [rejection(make_body(), OLD) for _ in range(3)]
    with open_broker(settings) as broker:
        park(broker, parked)
        done = dlmon(*command, "--yes", "--receipt", "/dev/full")
        assert done.returncode == 2
        assert done.stderr == (
            "dlmon: Cannot write the receipt /dev/full: No space left on device.\n"
        )
        assert re.search(r"(replayed|discarded) +3\n", done.stdout)
        assert not ids(broker, Queue.REJECTS)
        assert len(ids(broker, Queue.ARRIVALS)) == (3 if command == ["replay-rejects"] else 0)


def test_a_receipt_goes_on_in_a_line_of_its_own(dlmon: Dlmon, tmp_path: Path) -> None:
    (tmp_path / "receipt").write_text('{"message_id": "torn')
    (tmp_path / "export").write_bytes(to_line(slow()))
    done = dlmon("replay-rejects", "--from", "export", "--dry-run", "--receipt", "receipt")
    assert done.returncode == 0
    torn, line = (tmp_path / "receipt").read_text().splitlines()
    assert torn == '{"message_id": "torn'
    assert json.loads(line)["outcome"] == "left"
