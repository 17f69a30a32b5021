"""What every contender written in Python receives, and what it reports."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import NamedTuple

PREFETCH = 4_000
ACKNOWLEDGED_AT_ONCE = 2_000
WINDOW = 4_000
"""The values of dlmon, for every contender that has these limits."""

ROUTING_KEY = "download.completed"


class Task(NamedTuple):
    """url, queue: where. count: how many events. events: a file of them, NDJSON."""

    url: str
    queue: str
    count: int
    events: Path

    @property
    def exchange(self) -> str:
        """The exchange: the broker routes alike for all of them."""
        return self.queue.partition(".")[0]

    def bodies(self) -> list[bytes]:
        """What to publish."""
        return self.events.read_bytes().splitlines()[: self.count]


def task() -> Task:
    """Parse the command line."""
    url, queue, count, events = sys.argv[1:]
    return Task(url, queue, int(count), Path(events))


def schema() -> dict[str, object]:
    """The schema that all of them validate against."""
    from dlmon.validation.schema import load_schema

    document: dict[str, object] = load_schema().document
    return document


class Clock:
    """Starts when it is made, once the connection is open."""

    def __init__(self) -> None:
        self._started = time.perf_counter()

    def report(self, count: int) -> None:
        """The last event was acknowledged or confirmed."""
        seconds = time.perf_counter() - self._started
        print(json.dumps({"rate": count / seconds}))
