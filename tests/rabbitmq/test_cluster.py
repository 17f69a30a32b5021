"""A central cluster: several hosts in one setting."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dlmon.brokers import open_broker
from dlmon.config.settings import Settings
from dlmon.messages import Queue
from tests.conftest import settings_for
from tests.support.dlmon import Dlmon, running
from tests.support.messages import PATIENCE, wait_until
from tests.support.node import PrivateNode

_FAILOVER = 180.0


@pytest.fixture
def cluster(rabbitmq_server: None, tmp_path: Path) -> Iterator[list[PrivateNode]]:
    """Three nodes that are one."""
    nodes = []
    for number in range(3):
        folder = tmp_path / f"node-{number}"
        folder.mkdir()
        cookie = folder / ".erlang.cookie"
        cookie.write_text("ONEFORALLTHREE")
        cookie.chmod(0o400)
        nodes.append(PrivateNode(folder))
    try:
        first, *others = nodes
        first.start()
        for node in others:
            node.start()
            node.ctl("stop_app")
            node.ctl("join_cluster", first.name)
            node.ctl("start_app")
        yield nodes
    finally:
        for node in nodes:
            node.kill()


@pytest.fixture
def settings(cluster: list[PrivateNode], namespace: str, tmp_path: Path) -> Settings:
    hosts = ",".join(f"127.0.0.1:{node.port}" for node in cluster)
    return settings_for(f"amqp://guest:guest@{hosts}/", namespace, tmp_path, heartbeat=2)


def test_a_node_dies_and_events_go_on(
    cluster: list[PrivateNode], settings: Settings, tmp_path: Path
) -> None:
    dlmon = Dlmon(settings, tmp_path)
    store = f"sqlite:///{tmp_path}/events.db"
    with open_broker(settings):
        pass  # declared while all three are there: the queues have three members
    with (
        running(dlmon.start("consume", "--store", store)) as consumer,
        running(dlmon.start("produce", "--rate", "300", "--count", "6000")) as producer,
    ):
        wait_until(lambda: stored(tmp_path) > 500)
        cluster[0].kill()
        before = stored(tmp_path)
        wait_until(lambda: stored(tmp_path) > before + 500, _FAILOVER)
        cluster[0].start()
        cluster[1].kill()
        _, told = producer.communicate(timeout=_FAILOVER)
        assert producer.returncode == 0, told
        wait_until(lambda: stored(tmp_path) == 6000, _FAILOVER)
        consumer.terminate()
        assert consumer.wait(PATIENCE) == 0
    assert "6,000 confirmed" in told
    with open_broker(settings) as broker:
        wait_until(lambda: broker.depth(Queue.ARRIVALS).ready == 0)


def stored(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "events.db")) as connection:
        try:
            (count,) = connection.execute("SELECT count(*) FROM events").fetchone()
        except sqlite3.OperationalError:  # it is being made
            return 0
    return int(count)
