from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.support.environment import unmeasured_environment
from tests.support.thorough import repetitions

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
RUNS = repetitions(ordinary=5, thorough=15)


def seconds(arguments: list[str]) -> float:
    """What a run takes of a processor, which does not depend on what else the machine does."""
    with subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.DEVNULL, env=unmeasured_environment()
    ) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return used.ru_utime + used.ru_stime


def test_help_takes_less_than_twice_the_time_of_an_empty_application(tmp_path: Path) -> None:
    empty = tmp_path / "empty.py"
    empty.write_text(EMPTY_APPLICATION)
    # In turns, so that whatever makes a processor slow makes both slow.
    pairs = [
        (seconds([str(empty), "--help"]), seconds(["-m", "dlmon", "--help"])) for _ in range(RUNS)
    ]
    of_empty, of_dlmon = (min(times) for times in zip(*pairs, strict=True))
    assert of_dlmon < 2 * of_empty


def test_help_loads_no_library_that_only_commands_need() -> None:
    shown = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "dlmon", "--help"],
        env=unmeasured_environment(),
        check=True,
        capture_output=True,
        text=True,
    )
    loaded = set(re.findall(r"\| +([\w.]+)$", shown.stderr, re.MULTILINE))
    heavy = {"pika", "jsonschema", "jsonschema_rs", "orjson", "jq", "sqlite3", "platformdirs"}

    assert "typer" in loaded
    assert loaded & heavy == set()
