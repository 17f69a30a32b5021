"""The contenders, and how each of them is run."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.broker import Bench
from benchmarks.contenders.clock import PREFETCH
from dlmon.validation.schema_files import DEFAULT_SCHEMA, shipped_schemas

ROOT = Path(__file__).parents[1]
_NODE = Path(__file__).parent / "node"
DLMON_RATE = re.compile(r"\(([\d,]+)/s\)")
_MISSING = re.compile(r"No module named .*|Cannot find package .*")
_LONGEST = 600.0  # seconds


class CannotRun(Exception):
    """A contender needs something that is not installed."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A program that is timed. slowness: it gets this many times fewer events than the others.

    command: `{...}` in it is filled in. invalid: share of the events it finds in the queue. packed:
    events in each message that it finds there.
    """

    name: str
    command: Sequence[str]
    consumes: bool
    slowness: float = 1
    invalid: float = 0.0
    packed: int = 1

    def rate(self, bench: Bench, count: int, events: Path) -> float:
        """Events a second, in one run. Raises: CannotRun."""
        count = int(count / self.slowness)
        bench.empty()
        if self.consumes:
            bench.fill(count, self.invalid, self.packed)
        with tempfile.TemporaryDirectory(dir=bench.folder) as folder:
            values = {
                "url": bench.url,
                "queue": bench.queue,
                "count": count,
                "events": events,
                "store": f"sqlite:///{folder}/events.db",
                "schema": shipped_schemas() / DEFAULT_SCHEMA,
            }
            command = [part.format(**values) for part in self.command]
            try:
                done = subprocess.run(
                    command,
                    env=bench.environment,
                    cwd=ROOT,
                    capture_output=True,
                    text=True,
                    timeout=_LONGEST,
                    check=False,
                )
            except FileNotFoundError as error:
                raise CannotRun(f"{error.filename} is not installed") from error
        if missing := _MISSING.search(done.stderr):
            raise CannotRun(missing[0])
        if done.returncode:
            raise RuntimeError(f"{self.name}: {done.stderr}")
        if done.stdout:
            rate: float = json.loads(done.stdout)["rate"]
            return rate
        return float(DLMON_RATE.findall(done.stderr)[-1].replace(",", ""))


def _dlmon(*arguments: str) -> Sequence[str]:
    return (sys.executable, "-m", "dlmon", *arguments)


def _python(name: str) -> Sequence[str]:
    program = f"benchmarks.contenders.{name}"
    return (sys.executable, "-m", program, "{url}", "{queue}", "{count}", "{events}")


CONSUME_OPTIONS = ("consume", "--count", "{count}", "--store", "{store}")
PRODUCE_OPTIONS = ("produce", "--rate", "0", "--count", "{count}")
_AMQPLIB = (
    *(shutil.which("node") or "node", str(_NODE / "consume.js")),
    *("{url}", "{queue}", "{count}", "{events}", "{schema}", str(PREFETCH)),
)

_PACKED = 0.25
"""Slowness of those with 100 events a message: with fewer events they would be done too soon."""

CONSUME, PRODUCE = "dlmon consume", "dlmon produce --rate 0"
CONSUMERS = (
    Contender("bare pika, no-op callback", _python("bare_pika_consume"), consumes=True),
    Contender(CONSUME, _dlmon(*CONSUME_OPTIONS), consumes=True),
    Contender("dlmon consume, 10% invalid", _dlmon(*CONSUME_OPTIONS), consumes=True, invalid=0.1),
    Contender(
        "dlmon consume, 100 events a message",
        _dlmon(*CONSUME_OPTIONS),
        consumes=True,
        slowness=_PACKED,
        packed=100,
    ),
    Contender(
        "dlmon consume --workers 2", _dlmon(*CONSUME_OPTIONS, "--workers", "2"), consumes=True
    ),
    Contender("aio-pika, jsonschema-rs", _python("aio_pika_consume"), consumes=True, slowness=4),
    Contender("FastStream, pydantic", _python("faststream_consume"), consumes=True, slowness=10),
    Contender("the usual way", _python("usual_way_consume"), consumes=True, slowness=50),
    Contender("Node amqplib, ajv", _AMQPLIB, consumes=True),
)
PRODUCERS = (
    Contender("bare pika, window of confirms", _python("bare_pika_produce"), consumes=False),
    Contender(PRODUCE, _dlmon(*PRODUCE_OPTIONS), consumes=False),
    Contender(
        "dlmon produce --rate 0 --from FILE",
        _dlmon(*PRODUCE_OPTIONS, "--from", "{events}"),
        consumes=False,
    ),
    Contender(
        "dlmon produce --rate 0 --events-per-message 100",
        _dlmon(*PRODUCE_OPTIONS, "--events-per-message", "100"),
        consumes=False,
        slowness=_PACKED,
    ),
    Contender("aio-pika, confirms", _python("aio_pika_produce"), consumes=False, slowness=4),
)
