from __future__ import annotations

import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

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
RUNS = 15


def seconds(arguments: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def test_help_takes_less_than_twice_the_time_of_an_empty_application(tmp_path: Path) -> None:
    empty = tmp_path / "empty.py"
    empty.write_text(EMPTY_APPLICATION)
    # In turns, so that whatever else this machine does slows both.
    pairs = [
        (seconds([str(empty), "--help"]), seconds(["-m", "dlmon", "--help"])) for _ in range(RUNS)
    ]
    of_empty, of_dlmon = (statistics.median(times) for times in zip(*pairs, strict=True))
    assert of_dlmon < 2 * of_empty


def test_help_loads_no_library_that_only_commands_need() -> None:
    shown = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "dlmon", "--help"],
        check=True,
        capture_output=True,
        text=True,
    )
    loaded = set(re.findall(r"\| +([\w.]+)$", shown.stderr, re.MULTILINE))
    heavy = {"pika", "jsonschema", "jsonschema_rs", "orjson", "jq", "sqlite3", "platformdirs"}

    assert "typer" in loaded
    assert loaded & heavy == set()
