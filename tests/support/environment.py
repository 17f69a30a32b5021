"""The environment of commands that tests start."""

from __future__ import annotations

import os
from pathlib import Path


def bare_environment(home: Path) -> dict[str, str]:
    """Nothing of the user who runs the tests, but for what finds programs and measures coverage."""
    coverage = {k: v for k, v in os.environ.items() if k.startswith("COVERAGE_")}
    return {"PATH": os.environ["PATH"], "HOME": str(home), **coverage}


def unmeasured_environment() -> dict[str, str]:
    """This process's own, for a command whose imports are looked at: coverage has its own."""
    return {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_")}
