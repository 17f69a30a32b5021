"""The benchmarks still run. What they measure is in benchmarks/README.md."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("rabbitmq_server")

ROOT = Path(__file__).parents[2]


def benchmark(module: str, *arguments: str) -> list[str]:
    """The lines that it prints."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_contenders_are_compared_and_those_that_are_not_installed_are_named() -> None:
    lines = benchmark("benchmarks", "--rounds", "1", "--events", "100")
    rows = [line.strip("|").split("|") for line in lines if line.startswith("| ")]
    cells = {name.strip(): [cell.strip() for cell in rest] for name, *rest in rows}
    assert len(cells) == 16  # with two headings
    for name in ("bare pika, no-op callback", "dlmon consume", "dlmon produce --rate 0"):
        assert float(cells[name][0].replace(",", "")) > 0
    assert cells["dlmon consume"][3] == cells["dlmon produce --rate 0"][3] == "1"
    assert cells["bare pika, no-op callback"][2] == "1"
    assert float(cells["the usual way"][3]) > 0


def test_the_page_is_measured() -> None:
    lines = benchmark(
        "benchmarks.page",
        *("--events", "1000", "--browsers", "5", "--rejects", "30", "--seconds", "2"),
        *("--only", "streams", "dry-run"),
    )
    assert lines[0].startswith("streams: 5 browsers, one of which does not read, and ")
    assert lines[1] == "streams: one more is answered 200 OK"
    assert lines[2].startswith("dry-run: 30 rejects with 20 differences: ")


def test_what_goes_on_for_long_is_measured() -> None:
    lines = benchmark(
        "benchmarks.steady",
        *("--seconds", "1", "--events", "1000", "--only", "delay", "pace", "memory", "large"),
    )
    measured = [line.partition(":")[0] for line in lines]
    assert measured == [
        "produce --rate 10 to the SQLite store",
        "produce --rate 1000 to the SQLite store",
        "produce --rate 10",
        "produce --rate 1000",
        "produce --rate 10000",
        "memory over 1,000 events",
        "consume --batch 2000 of events with 60,000 bytes",
        "consume --batch 200 of events with 60,000 bytes",
    ]


def test_several_queues_get_every_event_once() -> None:
    lines = benchmark("benchmarks.scale", "--queues", "2", "--events", "1000")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    assert [row[:2] for row in rows] == [["1", "2"], ["100", "2"]]
    assert all(float(row[4]) > 0 for row in rows)
