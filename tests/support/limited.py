"""Python in a process with fewer rights or resources than the tests have."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

import dlmon

_REPOSITORY = Path(dlmon.__file__).parents[1]
_NEW_USER = str(100_000 + os.getpid())  # with no other process, unlike those of other tests
# Root may read every file unless it gives up its capabilities,
_WITHOUT_RIGHTS = ("--bounding-set=-all", "--inh-caps=-all")
# and start any number of processes unless it becomes another user, who has to read this program.
_AS_ANOTHER_USER = (
    *("--reuid", _NEW_USER, "--regid", _NEW_USER, "--clear-groups"),
    *("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"),
)


def limited(
    code: str,
    folder: Path,
    *arguments: str,
    limits: Mapping[str, int] | None = None,
    stdin: str = "",
    **variables: str,
) -> subprocess.CompletedProcess[str]:
    """Run Python code in a folder, with the rights of an ordinary user to files.

    limits: resources, such as RLIMIT_NOFILE, and how much of each the code may use. variables: of
    the environment.
    """
    prefix: Sequence[str] = ()
    lines = ["import resource"]
    for name, most in (limits or {}).items():
        lines.append(f"resource.setrlimit(resource.{name}, ({most}, {most}))")
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip("root cannot give up its rights without setpriv (util-linux)")
        limits_processes = "RLIMIT_NPROC" in (limits or {})
        prefix = ("setpriv", *(_AS_ANOTHER_USER if limits_processes else _WITHOUT_RIGHTS))
        folder.chmod(0o777)
    elif (limits or {}).get("RLIMIT_NPROC", 1) > 1:
        pytest.skip("another user, of whom there is no other process, takes root")
    return subprocess.run(
        [*prefix, sys.executable, "-B", "-c", "\n".join((*lines, code)), *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(_REPOSITORY), "HOME": "/", **variables},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


RUN_DLMON = "from dlmon.cli import main; main()"
"""Code that runs `dlmon` with its arguments."""
