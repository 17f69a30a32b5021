"""The commands on rejects where stdin or stdout is closed, or compressed."""

from __future__ import annotations

import gzip
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from dlmon.rejects.export import to_line
from tests.conftest import settings_for
from tests.support.dlmon import Dlmon
from tests.support.rejections import slow


@pytest.fixture
def dlmon(tmp_path: Path) -> Dlmon:
    return Dlmon(settings_for(f"sqlite:///{tmp_path / 'broker.db'}", "dlmon", tmp_path), tmp_path)


def in_shell(dlmon: Dlmon, redirection: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", f"exec {shlex.join(dlmon.command(*arguments))} {redirection}"],
        env=dlmon.environment,
        cwd=dlmon.folder,
        capture_output=True,
        text=True,
        timeout=30,
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
