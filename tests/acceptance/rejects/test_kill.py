"""SIGKILL and Ctrl-C at any moment: each message is where it was, or where it went, or in both."""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from subprocess import Popen

import pytest

from dlmon.brokers.base import Broker
from dlmon.config.settings import Settings
from dlmon.config.urls import LocalAddress
from dlmon.errors import FileError
from dlmon.messages import Queue
from dlmon.rejects.export import read_rejects
from dlmon.validation.violations import Violation
from tests.support.dlmon import Dlmon
from tests.support.events import make_body
from tests.support.messages import PATIENCE, wait_until
from tests.support.rejections import ids, park, rejection
from tests.support.thorough import repetitions

KILLS = repetitions(ordinary=5, thorough=20)
MOST = 10 * KILLS
"""Tries: on a busy machine a process may have ended before the signal comes."""
PARKED = repetitions(ordinary=4_000, thorough=8_000)


def in_queue(settings: Settings, broker: Broker, queue: Queue) -> set[str]:
    """The ids in a queue, those too that the lease of a killed process still holds."""
    if not isinstance(settings.broker, LocalAddress):
        # RabbitMQ takes a moment to notice that a process was killed.
        wait_until(lambda: not broker.depth(queue).holders)
        return set(ids(broker, queue))
    with closing(sqlite3.connect(settings.broker.path)) as database:
        rows = database.execute(
            "SELECT message_id FROM message WHERE queue = ?", [f"{settings.namespace}.{queue}"]
        )
        return {message_id for (message_id,) in rows}


def in_files(folder: Path) -> set[str]:
    """The ids in all exports, whose last lines may be torn."""
    found: set[str] = set()
    for path in folder.glob("*.gz"):
        try:
            found.update(one.message_id for one in read_rejects(path))
        except FileError:
            continue
    return found


class Parked:
    """Rejections in a queue of which each action finds enough to be busy when a signal comes."""

    def __init__(self, broker: Broker) -> None:
        self.ids: set[str] = set()
        self._broker = broker

    def top_up(self) -> None:
        missing = PARKED - self._broker.depth(Queue.REJECTS).ready
        odd = Violation("type", "/file_size", "what an older schema said")
        rejections = [rejection(make_body(), odd) for _ in range(missing)]
        park(self._broker, rejections)
        self.ids.update(one.message_id for one in rejections)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else -1


def _wait_for_receipt(process: Popen[str], receipt: Path, size: int) -> None:
    """Return when a receipt is larger than a size in bytes, or the process has ended."""
    while _size(receipt) <= size and process.poll() is None:
        time.sleep(0.001)


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("replay-rejects", ["--rate", "400"]),
        ("discard-rejects", ["--all", "--export", "{}.ndjson.gz"]),
    ],
)
def test_a_killed_action_loses_nothing(
    *,
    settings: Settings,
    broker: Broker,
    dlmon: Dlmon,
    tmp_path: Path,
    command: str,
    options: list[str],
) -> None:
    parked = Parked(broker)
    chance = random.Random(command)
    killed = 0
    for number in range(MOST):
        parked.top_up()
        receipt = tmp_path / f"receipt-{number}"
        arguments = [option.format(number) for option in options]
        process = dlmon.start(command, "--yes", "--receipt", str(receipt), *arguments)
        # Every other time it has done something by then.
        _wait_for_receipt(process, receipt, -1 if number % 2 else 0)
        time.sleep(chance.uniform(0, 0.04))
        process.kill()
        process.communicate()
        killed += process.returncode == -signal.SIGKILL
        if killed == KILLS:
            break
    assert killed == KILLS
    there = in_queue(settings, broker, Queue.REJECTS)
    gone = in_queue(settings, broker, Queue.ARRIVALS) | in_files(tmp_path)
    assert there | gone == parked.ids
    assert gone


@pytest.mark.parametrize("command", [["replay-rejects"], ["discard-rejects", "--all"]])
def test_an_interrupted_action_has_done_what_its_receipt_says(
    *, settings: Settings, broker: Broker, dlmon: Dlmon, tmp_path: Path, command: list[str]
) -> None:
    parked = Parked(broker)
    chance = random.Random(command[0])
    codes: list[int] = []
    done: list[str] = []
    for number in range(MOST):
        parked.top_up()
        receipt = tmp_path / f"receipt-{number}"
        process = dlmon.start(*command, "--yes", "--receipt", str(receipt))
        _wait_for_receipt(process, receipt, -1)
        time.sleep(chance.uniform(0, 0.1 * (number % KILLS)))
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=PATIENCE)
        assert not stderr
        codes.append(process.returncode)
        entries = map(json.loads, receipt.read_text().splitlines())
        done += [entry["message_id"] for entry in entries if entry["outcome"] != "left"]
        if len(codes) >= KILLS and 130 in codes:
            break
    assert len(done) == len(set(done))
    assert in_queue(settings, broker, Queue.REJECTS) == parked.ids - {*done}
    if command == ["replay-rejects"]:
        assert ids(broker, Queue.ARRIVALS) == sorted(done)
    # A signal that comes when all is done and shown ends the process as it ends any other.
    assert set(codes) <= {0, 130, -signal.SIGINT}
    assert 130 in codes


def test_a_killed_look_costs_nothing(
    settings: Settings, broker: Broker, dlmon: Dlmon, tmp_path: Path
) -> None:
    parked = [rejection(b"not JSON", message_id=f"id {number}") for number in range(PARKED)]
    park(broker, parked)
    chance = random.Random(0)
    for number in range(5):
        export = tmp_path / f"{number}.ndjson"
        process = dlmon.start("inspect-rejects", "--export", str(export))
        while not export.exists() and process.poll() is None:
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.1))
        process.kill()
        process.communicate()
    assert in_queue(settings, broker, Queue.REJECTS) == {one.message_id for one in parked}
