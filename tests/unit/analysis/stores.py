"""Stores with given downloads, and a slow and simple computation of what a report says of them."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import ceil
from pathlib import Path
from typing import Any

import orjson

from dlmon.analysis.geography import world
from dlmon.analysis.questions import make_question
from dlmon.analysis.report import Answer, Question
from dlmon.analysis.summaries import Summaries
from dlmon.commands.report import report, report_exactly
from dlmon.runtime.geohash import cell_of
from dlmon.runtime.stop import Stop
from dlmon.stores.base import Entry
from dlmon.stores.sqlite import SqliteStore
from dlmon.stores.sqlite_reader import SqliteReader

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOON = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


@dataclass(frozen=True)
class Download:
    """One event."""

    at: datetime = NOON
    latitude: float = 53.35  # Dublin
    longitude: float = -6.26
    size: int = 1_000_000
    speed: float = 10.0
    event_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def entry(self) -> Entry:
        event: dict[str, Any] = {
            "event_id": self.event_id,
            "timestamp": self.at.isoformat().replace("+00:00", "Z"),
            "coordinates": {"latitude": self.latitude, "longitude": self.longitude},
            "file_size": self.size,
            "download_speed": self.speed,
        }
        return Entry(self.event_id, orjson.dumps(event), event)


class Events:
    """A SQLite store, and its summaries."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.summaries = path.with_name(f"{path.stem}.summaries.db")

    def add(self, *downloads: Download) -> None:
        with SqliteStore(self.path) as store:
            for start in range(0, len(downloads), 500):
                entries = [one.entry() for one in downloads[start : start + 500]]
                assert not store.write(entries).refused

    def ask(self, question: Question) -> Answer:
        with SqliteReader(self.path) as reader, Summaries(self.summaries) as summaries:
            return report(question, reader, summaries, Stop()).answer

    def ask_exactly(self, question: Question) -> Answer:
        with SqliteReader(self.path) as reader:
            return report_exactly(question, reader, Stop()).answer

    def count(self) -> int:
        """How many downloads the summaries have."""
        return self.ask(everything("hour")).total.count


def everything(by: str, *where: str, **options: Any) -> Question:
    """A question about all hours that an event can have."""
    return make_question("0001-01-01", "9999-12-31T23:59:59Z", by, where, **options)


@dataclass(frozen=True)
class Expected:
    """What a row should say."""

    count: int
    volume: int
    speeds: Sequence[float]  # of those that count, in order
    sizes: Sequence[int]


def expected(downloads: Iterable[Download], by: str) -> dict[int | str, Expected]:
    """What the rows should say, by key."""
    keys: dict[str, Callable[[Download], int | str]] = {
        "hour": lambda one: (one.at - EPOCH) // timedelta(hours=1),
        "day": lambda one: (one.at - EPOCH).days * 24,
        "country": lambda one: world().country_of(one.latitude, one.longitude),
        "continent": lambda one: world().continents[
            world().country_of(one.latitude, one.longitude)
        ],
        "cell": lambda one: cell_of(one.latitude, one.longitude),
        "size": lambda one: sum(one.size >= bound for bound in (10**5, 10**6, 10**7, 10**8)),
    }
    groups = defaultdict(list)
    for download in downloads:
        groups[keys[by](download)].append(download)
    return {
        key: Expected(
            len(group),
            sum(one.size for one in group),
            sorted(one.speed for one in group if one.speed > 0.001 and one.size >= 10**5),
            sorted(one.size for one in group),
        )
        for key, group in groups.items()
    }


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest rank: the smallest value that at least a share of all do not exceed."""
    return values[max(0, ceil(share * len(values)) - 1)]
