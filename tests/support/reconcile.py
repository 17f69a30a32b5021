"""What became of every produced event, in the words of RabbitMQ's own Jepsen tests."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from dlmon.sources.base import VALID
from tests.support.ledger import read_ledger

ReceiptEntry = tuple[str, str]
"""An id, and `valid` for an event in the store or the code of a reject."""


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The ledger of a producer held against the store and the rejects.

    lost: confirmed, and neither in the store nor in rejects. unexpected: somewhere, and not planned
    to be there. recovered: there without having been confirmed. duplicated: rejects that are there
    more often than they were sent (the store cannot have an id twice).
    """

    confirmed: int
    stored: int
    rejected: int
    lost: Counter[str]
    unexpected: Counter[ReceiptEntry]
    recovered: Counter[str]
    duplicated: Counter[ReceiptEntry]

    @property
    def sound(self) -> bool:
        """Whether no event was lost, and none is where it does not belong."""
        return not self.lost and not self.unexpected


def reconcile(ledger: Path, store: Path, rejects: Iterable[ReceiptEntry]) -> Reconciliation:
    """Hold a ledger against a SQLite store and the (message id, code) of all rejects."""
    planned, confirmed = read_ledger(ledger)
    with closing(sqlite3.connect(store)) as database:
        stored = Counter(
            event_id for (event_id,) in database.execute("SELECT event_id FROM events")
        )
    rejected = Counter(rejects)
    fates = Counter({(event_id, VALID): count for event_id, count in stored.items()}) + rejected
    sent, there = _ids(planned), _ids(Counter(fates.keys()))
    return Reconciliation(
        confirmed=confirmed.total(),
        stored=stored.total(),
        rejected=rejected.total(),
        lost=(confirmed & sent) - there,
        unexpected=Counter({fate: count for fate, count in fates.items() if fate not in planned}),
        recovered=there - confirmed,
        duplicated=Counter({fate: fates[fate] - planned[fate] for fate in planned & fates}),
    )


def _ids(fates: Counter[ReceiptEntry]) -> Counter[str]:
    ids: Counter[str] = Counter()
    for (event_id, _), count in fates.items():
        ids[event_id] += count
    return ids
