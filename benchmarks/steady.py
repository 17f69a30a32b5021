"""`python -m benchmarks.steady [--seconds N] [--events N]`: pace, delay and memory, on stdout."""

from __future__ import annotations

import argparse
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks.broker import Bench, bench
from benchmarks.rounds import ROOT
from dlmon.brokers import open_broker
from dlmon.brokers.base import Queue
from dlmon.rejection import PUBLISHED_AT

_STALL = 5.0
_WINDOW = 0.25
_AT_ONCE = 5_000
_DELAY = re.compile(r"published to stored: .*")
_RESIDENT = re.compile(r"VmRSS:\s+(\d+) kB")


def start(prepared: Bench, *arguments: str) -> subprocess.Popen[str]:
    """dlmon as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "dlmon", *arguments],
        env=prepared.environment,
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    """What it told. Raises: RuntimeError where it failed."""
    _, told = process.communicate()
    if process.returncode:
        raise RuntimeError(told)
    return told


def publish_times(prepared: Bench) -> list[float]:
    """When each event in the queue was published, in seconds, in order; the queue is emptied."""
    times: list[float] = []
    with open_broker(prepared.settings()) as broker:
        count = broker.depth(Queue.ARRIVALS).ready
        with broker.open_consumer(2 * _AT_ONCE, count) as consumer:
            while len(times) < count:
                deliveries = consumer.receive(_AT_ONCE, 1.0)
                times += (int(str(one.headers[PUBLISHED_AT])) / 1000 for one in deliveries)
                consumer.acknowledge(deliveries)
    return sorted(times)


def most_at_once(times: Sequence[float]) -> int:
    """The most events in any window of `_WINDOW` seconds of the clock."""
    return max(Counter(int(at / _WINDOW) for at in times).values())


def pace(prepared: Bench, rate: int, seconds: int) -> str:
    """How near a producer keeps to its rate."""
    prepared.empty()
    finish(start(prepared, "produce", "--rate", str(rate), "--duration", f"{seconds}s"))
    times = publish_times(prepared)
    # As many intervals as events less one.
    measured = (len(times) - 1) / (times[-1] - times[0])
    wanted = rate * seconds
    return (
        f"produce --rate {rate}: {len(times):,} of {wanted:,} events, "
        f"{measured:,.2f}/s, off by {measured / rate - 1:+.3%}"
    )


def stall(prepared: Bench, rate: int) -> str:
    """What follows when a producer was suspended."""
    prepared.empty()
    process = start(prepared, "produce", "--rate", str(rate), "--duration", "12s")
    time.sleep(3)
    process.send_signal(signal.SIGSTOP)
    time.sleep(_STALL)
    process.send_signal(signal.SIGCONT)
    finish(process)
    burst = most_at_once(publish_times(prepared)) / _WINDOW
    return (
        f"produce --rate {rate}, suspended for {_STALL:g} s: at most {burst / rate:.2f} x the rate"
    )


def delay(prepared: Bench, rate: int, seconds: int) -> str:
    """From published to committed, as `consume` tells it."""
    prepared.empty()
    store = prepared.folder / f"delay-{rate}.db"
    consumer = start(prepared, "consume", "--store", f"sqlite:///{store}")
    finish(start(prepared, "produce", "--rate", str(rate), "--duration", f"{seconds}s"))
    consumer.send_signal(signal.SIGTERM)
    found = _DELAY.findall(finish(consumer))[-1]
    return f"produce --rate {rate} to the SQLite store: {found}"


def memory(prepared: Bench, count: int) -> str:
    """Resident memory of both sides while so many events go through."""
    prepared.empty()
    store = f"sqlite:///{prepared.folder / 'memory.db'}"
    consumer = start(prepared, "consume", "--store", store, "--count", str(count))
    producer = start(prepared, "produce", "--rate", "0", "--count", str(count))
    seen: dict[str, list[float]] = {"consume": [], "produce": []}
    while consumer.poll() is None:
        for name, process in (("consume", consumer), ("produce", producer)):
            if (megabytes := resident(process.pid)) is not None:
                seen[name].append(megabytes)
        time.sleep(1)
    finish(producer)
    finish(consumer)
    told = (
        f"{name} {values[len(values) // 10]:.0f} MB after a tenth, {max(values):.0f} MB at most, "
        f"{values[-1]:.0f} MB at the end"
        for name, values in seen.items()
    )
    return f"memory over {count:,} events: {'; '.join(told)}"


def resident(process: int) -> float | None:
    """Megabytes of a process; None once it has ended."""
    match = _RESIDENT.search(Path(f"/proc/{process}/status").read_text())
    return int(match[1]) / 1024 if match else None


def main() -> None:
    """Measure all of it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.steady", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="of each measurement")
    parser.add_argument("--events", type=int, default=1_000_000, help="for memory")
    arguments = parser.parse_args()
    with bench() as prepared:
        for rate in (10, 1_000):
            print(delay(prepared, rate, arguments.seconds), flush=True)
        for rate in (10, 1_000, 10_000):
            print(pace(prepared, rate, arguments.seconds), flush=True)
        for rate in (10, 1_000):
            print(stall(prepared, rate), flush=True)
        print(memory(prepared, arguments.events), flush=True)


if __name__ == "__main__":
    main()
