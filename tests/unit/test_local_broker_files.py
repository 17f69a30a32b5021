"""The file of a local broker: how it is made, and files that are no broker's."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from dlmon.brokers.base import Depth
from dlmon.brokers.local import LocalBroker, database
from dlmon.config.names import Names
from dlmon.errors import BrokerUnreachable, ExitCode, PublishRefused
from dlmon.messages import Message, Queue
from tests.support.messages import PATIENCE, in_queue, make_messages


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "broker.db"


def test_a_file_is_made_with_its_folders(tmp_path: Path) -> None:
    path = tmp_path / "of" / "mine" / "broker.db"
    with LocalBroker(path, Names()) as broker:
        broker.publish(Queue.ARRIVALS, [make_messages(1)])
    with LocalBroker(path, Names()) as broker:
        assert broker.depth(Queue.ARRIVALS) == Depth(ready=1, held=0)


def test_an_empty_file_becomes_a_broker(path: Path) -> None:
    path.touch()
    with LocalBroker(path, Names()) as broker:
        assert broker.depth(Queue.ARRIVALS) == Depth(ready=0, held=0)


def test_no_name_means_anything_special_to_sqlite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with LocalBroker(Path(":memory:"), Names()) as broker:
        broker.publish(Queue.ARRIVALS, [make_messages(1)])
    assert (tmp_path / ":memory:").exists()


def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(path: Path) -> None:
    path.write_text("my thesis\n" * 1000)
    with pytest.raises(BrokerUnreachable, match=r"not a database.*choose another path") as refusal:
        LocalBroker(path, Names())
    assert refusal.value.exit_code == ExitCode.BROKER
    assert path.read_text() == "my thesis\n" * 1000
    assert [file.name for file in path.parent.iterdir()] == ["broker.db"]


def test_a_database_of_something_else_is_refused_and_left_as_it_is(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE message (mine)")
    before = path.read_bytes()
    with pytest.raises(BrokerUnreachable, match=r"of something else.*choose another path"):
        LocalBroker(path, Names())
    assert path.read_bytes() == before


def test_a_file_of_a_newer_version_is_refused(path: Path) -> None:
    LocalBroker(path, Names()).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {database.SCHEMA_VERSION + 1}")
    with pytest.raises(BrokerUnreachable, match="newer dlmon: upgrade"):
        LocalBroker(path, Names())


def test_a_damaged_file_is_told_in_words(path: Path) -> None:
    with LocalBroker(path, Names()) as broker:
        broker.publish(Queue.ARRIVALS, [make_messages(1_000)])
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    with LocalBroker(path, Names()) as broker:
        with pytest.raises(BrokerUnreachable, match="damaged, so move it away"):
            broker.depth(Queue.ARRIVALS)
        with pytest.raises(PublishRefused, match="damaged, so move it away") as refusal:
            broker.publish(Queue.ARRIVALS, [make_messages(3)])
    assert refusal.value.messages == tuple(make_messages(3))


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(BrokerUnreachable, match=r"unable to open.*choose another path"):
        LocalBroker(tmp_path, Names())


def test_a_folder_that_cannot_be_made_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BrokerUnreachable, match=r"Cannot create the folder.*choose another path"):
        LocalBroker(tmp_path / "file" / "folder" / "broker.db", Names())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_may_not_be_written_to_is_told_in_words(path: Path, what: str) -> None:
    if what == "file":
        LocalBroker(path, Names()).close()
        path.chmod(0o400)
    else:
        path.parent.chmod(0o500)
    try:
        with pytest.raises(BrokerUnreachable, match=r"check who may write.*choose another path"):
            LocalBroker(path, Names())
    finally:
        path.parent.chmod(0o700)


@pytest.mark.slow
def test_many_processes_can_make_the_same_file_at_once(path: Path) -> None:
    code = f"""
from pathlib import Path
from dlmon.brokers.base import Message, Queue
from dlmon.brokers.local import LocalBroker
from dlmon.config.names import Names
with LocalBroker(Path({str(path)!r}), Names()) as broker:
    broker.publish(Queue.ARRIVALS, [[Message(b"", "one")]])
"""
    processes = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(6)]
    assert [process.wait(PATIENCE) for process in processes] == [0] * 6
    with LocalBroker(path, Names()) as broker:
        assert broker.depth(Queue.ARRIVALS).ready == 6


def test_a_file_from_before_all_columns_is_taken_over(path: Path) -> None:
    with LocalBroker(path, Names()) as broker:
        broker.publish(Queue.ARRIVALS, [make_messages(3)])
    with closing(sqlite3.connect(path)) as connection:
        for column in ("content_encoding", "type", "app_id"):
            connection.execute(f"ALTER TABLE message DROP COLUMN {column}")
    with LocalBroker(path, Names()) as broker:
        broker.publish(Queue.ARRIVALS, [[Message(b"", "new", app_id="agent")]])
        found = {one.message_id: one.app_id for one in in_queue(broker, Queue.ARRIVALS)}
    assert found == {"new": "agent", **{one.message_id: None for one in make_messages(3)}}
