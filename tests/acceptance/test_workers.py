"""`consume --workers` as people and service managers run it."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import orjson
import pytest

from dlmon.brokers import open_broker
from dlmon.config.settings import Settings
from dlmon.messages import Message, Queue
from tests.conftest import settings_for
from tests.support.dlmon import Dlmon
from tests.support.events import make_event
from tests.support.messages import PATIENCE, wait_until
from tests.support.metrics import samples
from tests.support.node import free_port
from tests.support.pipeline import BUSY, STOP_WITHIN

WORKERS = ("consume", "--workers", "3", "--batch", "20")


@pytest.fixture(params=["local", pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)])
def settings(request: pytest.FixtureRequest, tmp_path: Path, namespace: str) -> Settings:
    if request.param == "rabbitmq":
        rabbitmq: Settings = request.getfixturevalue("rabbitmq_settings")
        return rabbitmq
    return settings_for(f"sqlite:///{tmp_path}/broker.db", namespace, tmp_path)


@pytest.fixture
def local(tmp_path: Path, namespace: str) -> Settings:
    return settings_for(f"sqlite:///{tmp_path}/broker.db", namespace, tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "events.db"


def command_for(settings: Settings, store: Path) -> Dlmon:
    return Dlmon(settings, store.parent, DLMON_STORE=f"sqlite:///{store}")


def publish(settings: Settings, count: int, *, broken: int = 0) -> set[str]:
    """Publish so many valid events, and broken ones; returns the ids of those that are valid."""
    messages, ids = [], set()
    for number in range(count + broken):
        event = make_event(**({"file_size": -1} if number < broken else {}))
        messages.append(Message(orjson.dumps(event), event["event_id"]))
        if number >= broken:
            ids.add(event["event_id"])
    with open_broker(settings) as broker:
        broker.publish(Queue.ARRIVALS, [messages])
    return ids


def stored(store: Path) -> set[str]:
    with closing(sqlite3.connect(store)) as connection:
        return {event_id for (event_id,) in connection.execute("SELECT event_id FROM events")}


def depth(settings: Settings, queue: Queue = Queue.ARRIVALS) -> int:
    with open_broker(settings) as broker:
        return broker.depth(queue).ready


def children(process: int) -> set[int]:
    """The processes that this one started."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            _, _, fields = status.read_text().rpartition(") ")
        except OSError:  # it has ended meanwhile
            continue
        if int(fields.split()[1]) == process:
            found.add(int(status.parent.name))
    return found


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


@contextmanager
def running(command: Dlmon, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The command with three workers that are there."""
    with command.start(*WORKERS, *arguments) as process:
        try:
            read_until(process, "All 3 workers are ready.")
            yield process
        finally:
            process.kill()


def read_until(process: subprocess.Popen[str], text: str) -> None:
    """Read the output up to a line with this text."""
    assert process.stderr is not None
    patience = threading.Timer(PATIENCE, process.kill)
    patience.start()
    try:
        assert any(text in line for line in process.stderr)
    finally:
        patience.cancel()


def end(process: subprocess.Popen[str]) -> str:
    """The rest of the output of the command, once it has ended."""
    _, output = process.communicate(timeout=PATIENCE)
    return output


def test_each_event_is_settled_once_and_there_is_one_summary(
    settings: Settings, store: Path
) -> None:
    ids = publish(settings, 500, broken=30)
    done = command_for(settings, store)(*WORKERS, "--until-empty")
    assert done.returncode == 0, done.stderr
    assert stored(store) == ids
    wait_until(lambda: depth(settings, Queue.REJECTS) == 30)
    assert done.stdout == ""
    assert done.stderr.count("530 received: 500 stored, 0 duplicates, 30 rejected in") == 1
    assert done.stderr.count("minimum at /file_size") > 1


def test_count_is_for_all_of_them_together(settings: Settings, store: Path) -> None:
    publish(settings, 200)
    done = command_for(settings, store)(*WORKERS, "--count", "100")
    assert done.returncode == 0, done.stderr
    assert "100 received: 100 stored" in done.stderr
    assert len(stored(store)) == 100
    wait_until(lambda: depth(settings) == 100)


def test_a_count_smaller_than_the_number_of_workers(local: Settings, store: Path) -> None:
    publish(local, 5)
    done = command_for(local, store)(*WORKERS, "--count", "2")
    assert done.returncode == 0, done.stderr
    assert len(stored(store)) == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_one_stop_ends_all_of_them_cleanly(
    settings: Settings, store: Path, number: signal.Signals
) -> None:
    ids = publish(settings, 100)
    with running(command_for(settings, store)) as process:
        workers = children(process.pid)
        wait_until(lambda: stored(store) == ids)
        started = time.monotonic()
        process.send_signal(number)
        output = end(process)
    assert process.returncode == 0, output
    assert time.monotonic() - started < STOP_WITHIN + BUSY
    assert output.count(" received: ") >= 1
    assert "100 received: 100 stored" in output
    assert not any(map(alive, workers))
    wait_until(lambda: depth(settings) == 0)


def test_ctrl_c_on_a_terminal_stops_them_too(local: Settings, store: Path) -> None:
    ids = publish(local, 100)
    with command_for(local, store).on_terminal(*WORKERS, columns=160) as terminal:
        terminal.expect_exact("3 workers")
        terminal.expect_exact("last events")
        wait_until(lambda: stored(store) == ids)
        terminal.sendintr()
        terminal.expect_exact("100 received: 100 stored, 0 duplicates, 0 rejected in")
        terminal.wait()
        assert terminal.exitstatus == 0


def test_a_second_ctrl_c_leaves_at_once(local: Settings, store: Path) -> None:
    with running(command_for(local, store)) as process, closing(sqlite3.connect(store)) as holder:
        holder.execute("BEGIN IMMEDIATE")  # nothing can be stored: a batch is held
        publish(local, 100)
        read_until(process, "events are held")
        workers = children(process.pid)
        while process.poll() is None:  # signals that come together are one
            process.send_signal(signal.SIGINT)
            time.sleep(0.2)
        output = end(process)
        assert "within 4 s" not in output
        wait_until(lambda: not any(map(alive, workers)))
    assert process.returncode == 130


def test_what_cannot_be_stored_is_left_after_a_stop(local: Settings, store: Path) -> None:
    with running(command_for(local, store)) as process, closing(sqlite3.connect(store)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        publish(local, 100)
        read_until(process, "events are held")
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        output = end(process)
        assert time.monotonic() - started < STOP_WITHIN + BUSY
    assert process.returncode == 130
    # Of the workers or, on a busy machine, of the command that waits for them.
    assert "will be delivered again" in output
    # What a worker held that had to be ended is there again when its lease is over.
    wait_until(lambda: depth(local) == 100)


def test_a_frozen_worker_does_not_keep_the_others_from_ending(local: Settings, store: Path) -> None:
    with running(command_for(local, store)) as process:
        frozen = min(children(process.pid))
        os.kill(frozen, signal.SIGSTOP)
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        output = end(process)
    assert time.monotonic() - started < STOP_WITHIN + BUSY
    assert process.returncode == 130
    assert "what was in hand did not finish within 4 s" in output
    assert not alive(frozen)


def test_a_worker_that_is_killed_at_work_is_replaced(settings: Settings, store: Path) -> None:
    with running(command_for(settings, store)) as process:
        first = children(process.pid)
        ids = publish(settings, 3_000)
        wait_until(lambda: len(stored(store)) > 0)
        os.kill(max(first), signal.SIGKILL)
        wait_until(lambda: len(children(process.pid) - first) == 1)
        wait_until(lambda: stored(store) == ids)
        process.send_signal(signal.SIGTERM)
        output = end(process)
    assert process.returncode == 0, output
    assert "was killed by SIGKILL; another one takes its place." in output
    assert "Traceback" not in output
    wait_until(lambda: depth(settings) == 0)


def test_count_is_for_all_of_them_also_when_some_have_died(local: Settings, store: Path) -> None:
    port = free_port()
    publish(local, 150)
    counting = ("--count", "600", "--metrics", str(port))
    with running(command_for(local, store), *counting) as process:
        wait_until(lambda: samples(port).get("dlmon_events_received_total") == 150)
        for worker in children(process.pid):
            os.kill(worker, signal.SIGKILL)
            read_until(process, "was killed by SIGKILL; another one takes its place.")
        publish(local, 550)
        said = end(process)
    assert process.returncode == 0, said
    assert "600 received: 600 stored" in said
    assert len(stored(store)) == 600
    assert depth(local) == 100


def test_workers_do_not_outlive_the_command(local: Settings, store: Path) -> None:
    with running(command_for(local, store)) as process:
        workers = children(process.pid)
        process.kill()
        wait_until(lambda: not any(map(alive, workers)))


def test_what_keeps_all_from_starting_is_told_once(local: Settings, tmp_path: Path) -> None:
    missing = Dlmon(local, tmp_path, DLMON_BROKER="amqp://127.0.0.1:1/")
    done = missing(*WORKERS)
    assert done.returncode == 3
    assert done.stderr.count("dlmon: Cannot reach RabbitMQ") == 1
    assert "Traceback" not in done.stderr
    (tmp_path / "events.db").write_text("not a database, but longer than a header has to be" * 9)
    done = command_for(local, tmp_path / "events.db")(*WORKERS)
    assert done.returncode == 4
    assert done.stderr.count("it is not a SQLite file") == 1


def test_stdout_is_for_one_process(local: Settings, tmp_path: Path) -> None:
    done = Dlmon(local, tmp_path)(*WORKERS, "--store", "stdout")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "dlmon: Several workers cannot share stdout: choose another --store."
    )
