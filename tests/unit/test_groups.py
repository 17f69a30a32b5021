"""Tests of one group share what is slow to start: a node, a browser, an installed wheel."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_PROGRAM = """
import os
from pathlib import Path

import pytest

@pytest.mark.xdist_group("one")
@pytest.mark.parametrize("number", range(8))
def test_of_the_group(number):
    Path(f"{os.getpid()}.process").touch()
"""


def test_tests_of_one_group_run_in_one_process(tmp_path: Path) -> None:
    (tmp_path / "test_group.py").write_text(_PROGRAM)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n2", "--dist=loadgroup", "test_group.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "8 passed" in done.stdout
    assert len([*tmp_path.glob("*.process")]) == 1
