"""`python -m benchmarks.steady`: pace, delay and memory, on stdout; --help has its options."""

from __future__ import annotations

import argparse
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from benchmarks.broker import Bench, bench
from benchmarks.rounds import ROOT
from dlmon.brokers import open_broker
from dlmon.commands.consume import BATCH
from dlmon.messages import PUBLISHED_AT, Message, Queue
from dlmon.sources.simulation import Simulation

_ALL = ("delay", "pace", "stall", "memory", "large")
_STALL = 5.0
_LARGE = 60_000  # bytes; the limit is 65,536 unless --max-event-bytes says otherwise
_LOOK = 0.2  # seconds from one look at the memory of a process to the next
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
    """Wait for its end, and return what it printed. Raises: RuntimeError if it failed."""
    _, output = process.communicate()
    if process.returncode:
        raise RuntimeError(output)
    return output


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
    """How exactly a producer keeps its rate."""
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
    """What a producer sends after it was suspended."""
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
    """From published to committed, as `consume` measures it."""
    prepared.empty()
    store = prepared.folder / f"delay-{rate}.db"
    consumer = start(prepared, "consume", "--store", f"sqlite:///{store}")
    finish(start(prepared, "produce", "--rate", str(rate), "--duration", f"{seconds}s"))
    consumer.send_signal(signal.SIGTERM)
    found = _DELAY.findall(finish(consumer))[-1]
    return f"produce --rate {rate} to the SQLite store: {found}"


def memory(prepared: Bench, count: int) -> str:
    """Resident memory of producer and consumer while this many events go through."""
    prepared.empty()
    store = f"sqlite:///{prepared.folder / 'memory.db'}"
    consumer = start(prepared, "consume", "--store", store, "--count", str(count))
    producer = start(prepared, "produce", "--rate", "0", "--count", str(count))
    seen: dict[str, list[float]] = {"consume": [0.0], "produce": [0.0]}
    while consumer.poll() is None:
        for name, process in (("consume", consumer), ("produce", producer)):
            if (megabytes := resident(process.pid)) is not None:
                seen[name].append(megabytes)
        time.sleep(_LOOK)
    finish(producer)
    finish(consumer)
    sizes = (
        f"{name} {values[len(values) // 10]:.0f} MB after a tenth, {max(values):.0f} MB at most, "
        f"{values[-1]:.0f} MB at the end"
        for name, values in seen.items()
    )
    return f"memory over {count:,} events: {'; '.join(sizes)}"


def large(prepared: Bench, count: int) -> str:
    """Resident memory of a consumer with large events in its queue."""
    prepared.empty()
    bodies = (
        event.body[:-1] + b',"note":"%b"}' % (b"x" * _LARGE) for event in Simulation().take(count)
    )
    messages = (Message(body, str(number)) for number, body in enumerate(bodies))
    with open_broker(prepared.settings()) as broker:
        broker.publish(Queue.ARRIVALS, iter(lambda: list(islice(messages, 100)), []))
    lines = []
    for batch in (BATCH, BATCH // 10):
        store = f"sqlite:///{prepared.folder / f'large-{batch}.db'}"
        half = str(count // 2)
        consumer = start(
            prepared, "consume", "--store", store, "--count", half, "--batch", str(batch)
        )
        most = 0.0
        while consumer.poll() is None:
            most = max(most, resident(consumer.pid) or 0.0)
            time.sleep(_LOOK)
        finish(consumer)
        lines.append(f"consume --batch {batch} of events with {_LARGE:,} bytes: {most:.0f} MB")
    return "\n".join(lines)


def resident(process: int) -> float | None:
    """Megabytes of a process; None once it has ended."""
    match = _RESIDENT.search(Path(f"/proc/{process}/status").read_text())
    return int(match[1]) / 1024 if match else None


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.steady", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="of each measurement")
    parser.add_argument("--events", type=int, default=1_000_000, help="for memory")
    parser.add_argument("--only", nargs="+", choices=_ALL, default=_ALL)
    arguments = parser.parse_args()
    seconds, events = arguments.seconds, arguments.events
    with bench() as prepared:
        measurements: dict[str, Iterator[str]] = {
            "delay": (delay(prepared, rate, seconds) for rate in (10, 1_000)),
            "pace": (pace(prepared, rate, seconds) for rate in (10, 1_000, 10_000)),
            "stall": (stall(prepared, rate) for rate in (10, 1_000, 10_000)),
            "memory": (memory(prepared, events) for _ in range(1)),
            "large": (large(prepared, events // 100) for _ in range(1)),
        }
        for name in arguments.only:
            for line in measurements[name]:
                print(line, flush=True)


if __name__ == "__main__":
    main()
