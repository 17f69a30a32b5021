"""`python -m benchmarks.scale`: what an event costs when arrivals is spread over several queues.

A consistent-hash exchange, bound to dlmon's own, spreads messages by their id over so many queues,
each with a consumer and a SQLite store of its own. One machine cannot show that many are faster: it
shows whether an event costs each of them, and the broker, as much as it costs one.
"""

from __future__ import annotations

import argparse
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from dlmon.messages import ROUTING_KEYS, Queue
from tests.support.amqp import raw_channel
from tests.support.node import PrivateNode

_EXCHANGE = "dlmon"
_SHARDS = "dlmon.shards"
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cost:
    """Events a second, with the start of the consumers; microseconds of a core that an event took,
    without it."""

    rate: float
    consumers: float
    broker: float


def declare(url: str, queues: Sequence[str]) -> None:
    """Spread arrivals over these queues."""
    with raw_channel(url) as channel:
        channel.exchange_declare(_EXCHANGE, "topic", durable=True)
        channel.exchange_declare(
            _SHARDS, "x-consistent-hash", durable=True, arguments={"hash-property": "message_id"}
        )
        channel.exchange_bind(_SHARDS, _EXCHANGE, ROUTING_KEYS[Queue.ARRIVALS])
        for queue in queues:
            channel.queue_declare(queue, durable=True, arguments={"x-queue-type": "quorum"})
            channel.queue_bind(queue, _SHARDS, "1")  # its weight
        rejects = f"{_EXCHANGE}.rejects"
        channel.queue_declare(rejects, durable=True, arguments={"x-queue-type": "quorum"})
        channel.queue_bind(rejects, _EXCHANGE, ROUTING_KEYS[Queue.REJECTS])


def measure(node: PrivateNode, queues: Sequence[str], count: int, packing: Sequence[str]) -> Cost:
    """Publish events, then consume all of them at once, a consumer a queue."""
    with tempfile.TemporaryDirectory(prefix="dlmon-scale-") as name:
        folder = Path(name)
        start_up = _consume(node.url, queues, folder)  # of empty queues
        publish = ("produce", "--arrivals", ",".join(queues), "--rate", "0", *packing)
        subprocess.run(
            _command(*publish, "--count", str(count)),
            env=_environment(node.url),
            stderr=subprocess.DEVNULL,
            check=True,
        )
        broker = _cpu_of(node)
        used = _consume(node.url, queues, folder)
        broker = _cpu_of(node) - broker
        stored = sum(_count(folder / f"{queue}.db") for queue in queues)
    assert stored == count, f"{stored} of {count} events are stored"
    return Cost(count / used.seconds, 1e6 * (used.cpu - start_up.cpu) / count, 1e6 * broker / count)


@dataclass(frozen=True, slots=True)
class _Used:
    seconds: float
    cpu: float


def _consume(url: str, queues: Sequence[str], folder: Path) -> _Used:
    cpu, started = _cpu_of_children(), time.monotonic()
    consumers = [
        subprocess.Popen(
            _command(
                "consume", "--until-empty", "--arrivals", queue,
                "--store", f"sqlite:///{folder / queue}.db",
            ),
            env=_environment(url),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for queue in queues
    ]  # fmt: skip
    assert [consumer.wait() for consumer in consumers] == [0] * len(queues)
    return _Used(time.monotonic() - started, _cpu_of_children() - cpu)


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "dlmon", *arguments, "--no-declare"]


def _environment(url: str) -> dict[str, str]:
    return {**os.environ, "DLMON_BROKER": url}


def _count(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        [(count,)] = connection.execute("SELECT count(*) FROM events")
    return int(count)


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _cpu_of(node: PrivateNode) -> float:
    """Seconds of a core that a node has used."""
    total = 0.0
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            fields = status.read_text().rpartition(")")[2].split()
            if int(fields[3]) == node.session:
                total += (int(fields[11]) + int(fields[12])) / _TICK
    return total


@contextmanager
def _node() -> Iterator[PrivateNode]:
    with tempfile.TemporaryDirectory(prefix="dlmon-scale-") as folder:
        node = PrivateNode(Path(folder), plugins="[rabbitmq_consistent_hash_exchange].")
        node.start()
        try:
            yield node
        finally:
            node.kill()


def main() -> None:
    """Print a row for each number of queues."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--queues", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--events-per-message", type=int, nargs="+", default=[1, 100])
    options = parser.parse_args()
    print("| events a message | queues | events/s | us of a core, consumers | broker |")
    print("|--:|--:|--:|--:|--:|")
    for packed in options.events_per_message:
        packing = () if packed == 1 else ("--events-per-message", str(packed))
        for queues in options.queues:
            names = [f"{_EXCHANGE}.arrivals.{number}" for number in range(queues)]
            with _node() as node:
                declare(node.url, names)
                cost = measure(node, names, options.events, packing)
            figures = f"{cost.rate:,.0f} | {cost.consumers:.1f} | {cost.broker:.1f}"
            print(f"| {packed} | {queues} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
