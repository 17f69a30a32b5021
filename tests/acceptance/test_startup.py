"""A command starts at once, since it loads only what it needs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

EMPTY_APPLICATION = """
import typer

app = typer.Typer()


@app.callback()
def root() -> None:
    pass


@app.command()
def command() -> None:
    pass


app()
"""


_LIST_MODULES = """
import atexit, runpy, sys
atexit.register(lambda: print(*sys.modules, file=sys.stderr))
_, how, what, *sys.argv[1:] = sys.argv
getattr(runpy, how)(what, run_name="__main__")
"""


def loaded(how: str, *arguments: str) -> set[str]:
    """The modules that Python has loaded at the end of `runpy.run_module` or `run_path`."""
    done = subprocess.run(
        [sys.executable, "-c", _LIST_MODULES, how, *arguments],
        check=True,
        capture_output=True,
        text=True,
    )
    return set(done.stderr.split())


@pytest.fixture(scope="module")
def of_empty_application(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """What typer loads to show the help of an application that has none."""
    program = tmp_path_factory.mktemp("empty") / "empty.py"
    program.write_text(EMPTY_APPLICATION)
    return loaded("run_path", str(program), "--help")


@pytest.mark.parametrize("arguments", [["--help"], ["consume", "--help"], ["--version"]])
def test_help_loads_no_library_but_typer(
    arguments: list[str], of_empty_application: set[str]
) -> None:
    beside = loaded("run_module", "dlmon", *arguments) - of_empty_application
    names = {module.partition(".")[0] for module in beside}
    libraries = names - sys.stdlib_module_names - {"dlmon"}

    assert "typer" in of_empty_application
    assert "dlmon" in names
    assert libraries == set()
    assert names.isdisjoint({"sqlite3", "multiprocessing", "subprocess", "ssl", "asyncio"})
    assert len(beside) < 100


def test_a_command_loads_no_other_command() -> None:
    modules = loaded("run_module", "dlmon", "status", "--help")
    assert "dlmon.cli.status" in modules
    assert modules.isdisjoint({"dlmon.cli.consume", "dlmon.cli.produce", "dlmon.cli.doctor"})


def test_the_version_is_shown_without_any_command(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dlmon", "--version"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    assert re.fullmatch(r"dlmon \d+\.\d+\.\d+\S*\n", done.stdout)
