"""How fast rejects are looked at and replayed, beside RabbitMQ's own shovel.

    python -m benchmarks.rejects [--looked 1000000] [--moved 100000]

Starts a node of its own (needs rabbitmq-server, with its shovel plugin) in a temporary folder. The
commands run as processes of their own, and their times include the start. The shovel moves messages
unread within the node; a replay receives, validates and publishes each of them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from typing import Any, NamedTuple

from dlmon.brokers import open_broker
from dlmon.brokers.base import Broker
from dlmon.config.settings import Settings
from dlmon.messages import Message, Queue
from dlmon.rejects.rejection import Rejection, to_message
from dlmon.validation.violations import Violation
from tests.conftest import settings_for
from tests.support.events import make_body
from tests.support.node import PrivateNode
from tests.support.rejections import rejection

FAULTS: tuple[dict[str, Any], ...] = (
    {"download_speed": "25.5"},
    {"file_size": -1},
    {"coordinates": {"latitude": 123.4, "longitude": -8.4}},
    {"timestamp": "yesterday"},
)
BATCH = 500
POLL = 0.02
PATIENCE = 600.0
PATCH = ".download_speed |= tonumber"


class Measured(NamedTuple):
    """A row of the table. memory: the peak of the process, in MB."""

    what: str
    number: int
    seconds: float
    memory: int | None = None

    def __str__(self) -> str:
        memory = "" if self.memory is None else f"{self.memory} MB"
        rate = f"{self.number / self.seconds:,.0f}"
        return f"| {self.what} | {self.number:,} | {self.seconds:.1f} s | {rate} | {memory} |"


@contextmanager
def node_with_shovel() -> Iterator[PrivateNode]:
    with tempfile.TemporaryDirectory() as folder:
        node = PrivateNode(Path(folder), plugins="[rabbitmq_shovel].")
        node.start()
        try:
            yield node
        finally:
            node.kill()


def broken() -> Iterator[Rejection]:
    """Rejections of events with each kind of fault in turn."""
    return (rejection(make_body(**fault)) for fault in cycle(FAULTS))


def mended() -> Iterator[Rejection]:
    """Rejections by an older schema: their events are valid now."""
    old = Violation("type", "/file_size", "what an older schema said")
    return (rejection(make_body(), old) for _ in cycle([None]))


def speeds_as_text() -> Iterator[Rejection]:
    """Rejections that PATCH corrects."""
    return (rejection(make_body(download_speed="25.5")) for _ in cycle([None]))


def parked(
    node: PrivateNode, namespace: str, rejections: Iterator[Rejection], count: int
) -> Settings:
    """Settings of a namespace with this many rejects."""
    settings = settings_for(node.url, namespace, Path(tempfile.gettempdir()))
    messages: Iterator[Message] = map(to_message, islice(rejections, count))
    with open_broker(settings) as broker:
        broker.publish(Queue.REJECTS, iter(lambda: list(islice(messages, BATCH)), []))
    return settings


def run(what: str, node: PrivateNode, namespace: str, count: int, *arguments: str) -> Measured:
    """Run the command to its end."""
    command = [sys.executable, "-m", "dlmon", *arguments, "--broker", node.url]
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen([*command, "--namespace", namespace], stdout=output)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        screen = output.read()
    if process.returncode or f"{count:,}" not in screen:
        raise SystemExit(f"{' '.join(command)} did not do all:\n{screen}")
    return Measured(what, count, seconds, usage.ru_maxrss // 1024)


def look(node: PrivateNode, count: int) -> Measured:
    parked(node, "looked", broken(), count)
    return run("`inspect-rejects`", node, "looked", count, "inspect-rejects")


def replay(node: PrivateNode, count: int) -> Measured:
    settings = parked(node, "replayed", mended(), count)
    arguments = ("replay-rejects", "--yes")
    measured = run("`replay-rejects`", node, "replayed", count, *arguments)
    check_moved(settings, count)
    return measured


def replay_patched(node: PrivateNode, count: int) -> Measured:
    settings = parked(node, "patched", speeds_as_text(), count)
    arguments = ("replay-rejects", "--yes", "--patch", PATCH)
    measured = run("`replay-rejects --patch`", node, "patched", count, *arguments)
    check_moved(settings, count)
    return measured


def discard(node: PrivateNode, count: int) -> Measured:
    parked(node, "discarded", broken(), count)
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder, "rejects.ndjson.gz"))
        arguments = ("discard-rejects", "--all", "--export", file, "--yes")
        return run("`discard-rejects --export`", node, "discarded", count, *arguments)


def shovel(node: PrivateNode, count: int) -> Measured:
    settings = parked(node, "shovelled", mended(), count)
    url = node.url.rstrip("/")  # a shovel takes a trailing slash for a virtual host without a name
    definition = {
        "src-protocol": "amqp091",
        "src-uri": url,
        "src-queue": "shovelled.rejects",
        "src-prefetch-count": 1000,
        "src-delete-after": "queue-length",
        "dest-protocol": "amqp091",
        "dest-uri": url,
        "dest-exchange": "shovelled",
        "dest-exchange-key": "download.completed",
        "ack-mode": "on-confirm",
    }
    with open_broker(settings) as broker:
        node.ctl("set_parameter", "shovel", "rejects", json.dumps(definition))
        before = wait_for_arrivals(broker, 1)
        started = time.monotonic()  # without the start of rabbitmqctl and of the shovel
        wait_for_arrivals(broker, count)
    seconds = time.monotonic() - started
    check_moved(settings, count)
    return Measured("the shovel plugin, `on-confirm`", count - before, seconds)


def wait_for_arrivals(broker: Broker, count: int) -> int:
    """Wait until the queue has this many messages, and return how many it has."""
    deadline = time.monotonic() + PATIENCE
    while (ready := broker.depth(Queue.ARRIVALS).ready) < count:
        if time.monotonic() > deadline:
            raise SystemExit(f"the shovel has moved {ready:,} of {count:,} in {PATIENCE:g} s")
        time.sleep(POLL)
    return ready


def check_moved(settings: Settings, count: int) -> None:
    with open_broker(settings) as broker:
        depths = [broker.depth(queue).ready for queue in (Queue.ARRIVALS, Queue.REJECTS)]
    if depths != [count, 0]:
        raise SystemExit(f"{count:,} rejects became {depths} in arrivals and rejects")


def say(line: str) -> None:
    print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--looked", type=int, default=1_000_000)
    parser.add_argument("--moved", type=int, default=100_000)
    given = parser.parse_args()
    say("| what | rejects | time | rejects/s | peak memory |")
    say("|---|---:|---:|---:|---:|")
    movers: tuple[Callable[[PrivateNode, int], Measured], ...]
    movers = (replay, replay_patched, discard, shovel)
    with node_with_shovel() as node:
        say(str(look(node, given.looked)))
        for measure in movers:
            say(str(measure(node, given.moved)))


if __name__ == "__main__":
    main()
