"""What `consume` and `produce` count."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from dlmon.monitoring.histogram import Histogram
from dlmon.rejects.groups import Groups

STAGES = ("judge", "store", "park")  # values of the label `stage`, which are stable


@dataclass(slots=True)
class Downloads:
    """speed: megabits per second. size: kilobytes, so that up to 10 TB are told apart."""

    speed: Histogram = field(default_factory=Histogram)
    size: Histogram = field(default_factory=Histogram)

    def merge(self, other: Downloads) -> None:
        """Add other downloads."""
        self.speed.merge(other.speed)
        self.size.merge(other.size)


@dataclass(slots=True)
class ConsumeTotals:
    """What became of the events that were settled so far.

    delay: milliseconds from published to committed, of stored events that have a time of
    publication. speed: megabits per second, of stored events. stages: milliseconds that each stage
    took for a batch. failures: how often an attempt of a stage failed. messages: how many brought
    the events; redelivered: how many of their deliveries were not the first. deleted: how many
    events the store has deleted because they were older than it is to keep them. continents: stored
    downloads by the code of their continent, where they are counted.
    """

    received: int = 0
    stored: int = 0
    duplicates: int = 0
    rejected: Groups = field(default_factory=Groups)
    delay: Histogram = field(default_factory=Histogram)
    speed: Histogram = field(default_factory=Histogram)
    batches: int = 0
    messages: int = 0
    redelivered: int = 0
    deleted: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    continents: dict[str, Downloads] = field(default_factory=dict)
    stages: dict[str, Histogram] = field(default_factory=lambda: {s: Histogram() for s in STAGES})

    def merge(self, other: ConsumeTotals) -> None:
        """Add the totals of another consumer."""
        self.received += other.received
        self.stored += other.stored
        self.duplicates += other.duplicates
        self.rejected.merge(other.rejected)
        self.delay.merge(other.delay)
        self.speed.merge(other.speed)
        self.batches += other.batches
        self.messages += other.messages
        self.redelivered += other.redelivered
        self.deleted += other.deleted
        self.failures += other.failures
        for continent, downloads in other.continents.items():
            self.continents.setdefault(continent, Downloads()).merge(downloads)
        for name, stage in self.stages.items():
            stage.merge(other.stages[name])


@dataclass(slots=True)
class ProduceTotals:
    """How many events were sent so far, and how many of them the broker has confirmed.

    verdicts: how many of the sent events should get which verdict, as far as that is known.
    """

    sent: int = 0
    confirmed: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)

    @property
    def unconfirmed(self) -> int:
        return self.sent - self.confirmed
