"""A RabbitMQ node of the benchmarks' own, and what its queues contain before a run."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from dlmon.brokers import open_broker
from dlmon.config.settings import Settings, load_settings
from dlmon.messages import PUBLISHED_AT, Message, Queue
from dlmon.sources.packing import Packer
from dlmon.sources.simulation import Simulation
from tests.support.amqp import raw_channel
from tests.support.node import PrivateNode

_NAMESPACE = "benchmark"
_AT_ONCE = 1_000


class Bench:
    """A node with dlmon's own topology, and a folder for files."""

    def __init__(self, url: str, folder: Path, namespace: str = _NAMESPACE) -> None:
        self.url = url
        self.folder = folder
        self.queue = f"{namespace}.arrivals"
        self._namespace = namespace
        self.environment = {
            **os.environ,
            "HOME": str(folder),
            "DLMON_BROKER": url,
            "DLMON_NAMESPACE": namespace,
        }

    def settings(self) -> Settings:
        """Settings with which dlmon connects to it."""
        nothing = Path(os.devnull)
        return load_settings({"broker": self.url, "namespace": self._namespace}, {}, nothing)

    def empty(self) -> None:
        """Empty the queues."""
        with open_broker(self.settings()), raw_channel(self.url) as channel:
            for queue in Queue:
                channel.queue_purge(f"{self._namespace}.{queue}")

    def fill(self, count: int, invalid: float, packed: int = 1) -> None:
        """Publish events to arrivals. invalid: share of them, from 0 to 1. packed: events in each
        message."""
        events = Simulation(invalid=invalid)
        packer = Packer(packed)

        def batches() -> Iterator[list[Message]]:
            for left in range(count, 0, -_AT_ONCE):
                headers = {PUBLISHED_AT: time.time_ns() // 1_000_000}
                taken = events.take(min(left, _AT_ONCE))
                yield packer.pack(taken, headers, last=left <= _AT_ONCE)

        with open_broker(self.settings()) as broker:
            broker.publish(Queue.ARRIVALS, batches())

    def write_events(self, count: int) -> Path:
        """Write a file of valid events, as NDJSON."""
        path = self.folder / "events.ndjson"
        bodies = (event.body + b"\n" for event in Simulation(seed=1).take(count))
        path.write_bytes(b"".join(bodies))
        return path


@contextmanager
def bench() -> Iterator[Bench]:
    """A node that is stopped and removed at the end."""
    with TemporaryDirectory(prefix="dlmon-benchmarks-") as folder:
        node = PrivateNode(Path(folder))
        node.start()
        try:
            yield Bench(node.url, Path(folder))
        finally:
            node.kill()
