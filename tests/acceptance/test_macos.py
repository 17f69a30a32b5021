"""What can be run without that which only Linux has, and with the paths of macOS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.events import make_body

SHIM = Path(__file__).parents[1] / "support" / "macos"
BROKER = ("--broker", "sqlite:///broker.db")
STORE = ("--store", "sqlite:///store.db")

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs `dlmon` as on macOS."""

    def run(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "dlmon", *arguments],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(SHIM)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done

    return run


def test_files_are_checked_in_one_process(run: Run, tmp_path: Path) -> None:
    lines = (make_body() + b"\n") * 30_000 + make_body(file_size=-1) + b"\n"
    (tmp_path / "events").write_bytes(lines)
    done = run("validate-file", "events", code=1)
    assert done.stdout.endswith("30,001 events: 30,000 valid, 1 invalid, 1 finding.\n")
    assert done.stderr == ""
    done = run("validate-file", "events", "--jobs", "3", "--json", "--unique", code=1)
    assert json.loads(done.stdout)["summary"]["invalid"] == 1
    assert "1 of 3 processes could be started: this system cannot fork." in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_events_are_produced_consumed_and_replayed(run: Run, workers: str) -> None:
    run("produce", *BROKER, "--count", "40", "--rate", "0", "--fault", "file-size-missing")
    done = run("consume", *BROKER, *STORE, "--until-empty", "--workers", workers)
    assert "40 rejected" in done.stderr + done.stdout
    run("inspect-rejects", *BROKER)
    run("replay-rejects", *BROKER, "--patch", ".file_size = 1", "--yes")
    run("consume", *BROKER, *STORE, "--until-empty", "--workers", workers)
    assert "dlmon.arrivals           0 ready" in run("status", *BROKER).stdout


def test_data_goes_to_the_folders_of_macos(run: Run, tmp_path: Path) -> None:
    run("produce", "--broker", "local", "--count", "1")
    assert [*(tmp_path / "Library" / "Application Support").rglob("*.db")]
