"""What every contender written in Python is told, and what it tells."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import NamedTuple

PREFETCH = 4_000
ACKNOWLEDGED_AT_ONCE = 2_000
WINDOW = 4_000
"""The same for all who can choose, and what dlmon has."""

ROUTING_KEY = "download.completed"


class Task(NamedTuple):
    """url, queue: where. count: how many events. events: a file of them, NDJSON."""

    url: str
    queue: str
    count: int
    events: Path

    @property
    def exchange(self) -> str:
        """What to publish to, so that the broker routes for all of them alike."""
        return self.queue.partition(".")[0]

    def bodies(self) -> list[bytes]:
        """What to publish."""
        return self.events.read_bytes().splitlines()[: self.count]


def task() -> Task:
    """What is to be done, from the command line."""
    url, queue, count, events = sys.argv[1:]
    return Task(url, queue, int(count), Path(events))


def schema() -> dict[str, object]:
    """The schema that all of them judge by."""
    from dlmon.validation.schema import load_schema

    document: dict[str, object] = load_schema().document
    return document


class Clock:
    """Runs from when it is made, which is once the connection is open."""

    def __init__(self) -> None:
        self._started = time.perf_counter()

    def tell(self, count: int) -> None:
        """The last event was acknowledged or confirmed."""
        seconds = time.perf_counter() - self._started
        print(json.dumps({"rate": count / seconds}))
