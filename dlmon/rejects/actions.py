"""Acting on rejects, batch by batch, with a receipt of what became of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from dlmon.errors import DlmonError, Interrupted
from dlmon.rejects.queue import LockedReject, Rejects
from dlmon.rejects.rejection import Rejection
from dlmon.runtime.stop import Stop

CHUNK = 2_000
"""Rejects that are read, acted on and settled together: a broker that writes to a disk takes about
as long for one as for so many. A kill leaves no more in both places."""


MAX_REASONS = 1000
"""Reasons that a receipt tells apart: they name paths, and paths come from events."""


Progress: TypeAlias = Callable[[int, int | None], None]
"""Told how many rejects were looked at, and of how many (None: nobody knows)."""


class Outcome(StrEnum):
    """What became of a reject that was selected."""

    REPLAYED = "replayed"
    DISCARDED = "discarded"
    LEFT = "left"
    FAILED = "failed"


class ReceiptEntry(NamedTuple):
    """What became of one reject, and why where it was left or failed."""

    message_id: str
    outcome: Outcome
    why: str = ""


@dataclass(slots=True)
class Receipt:
    """What an action on rejects came to.

    total: how many there were at the start, None where nobody knows. looked: how many of them were
    looked at. still_there: how many were done, but not removed before the connection was lost.
    partial: somebody else holds further ones, or may. error: what ended the action early.
    interrupted: a stop did.
    """

    total: int | None
    tell: Callable[[ReceiptEntry], None] = field(repr=False)
    looked: int = 0
    done: int = 0
    left: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    still_there: int = 0
    partial: bool = False
    interrupted: bool = False
    error: DlmonError | None = None

    @property
    def selected(self) -> int:
        return self.done + self.left.total() + self.failed.total()

    def note(self, outcome: Outcome, rejection: Rejection, why: str = "") -> None:
        """Count one reject, and tell of it."""
        if outcome is Outcome.LEFT:
            _count(self.left, why)
        elif outcome is Outcome.FAILED:
            _count(self.failed, why)
        else:
            self.done += 1
        self.tell(ReceiptEntry(rejection.message_id, outcome, why))


@dataclass(frozen=True, slots=True)
class Run:
    """How an action goes through rejects.

    limit: how many it may be done to. tell: told of each reject that was selected.
    """

    stop: Stop
    limit: int | None = None
    dry_run: bool = False
    progress: Progress = lambda _looked, _total: None
    tell: Callable[[ReceiptEntry], None] = lambda _fate: None

    def through(
        self,
        rejects: Rejects,
        act: Callable[[Sequence[LockedReject], Receipt], None],
        size: int = CHUNK,
    ) -> Receipt:
        """Act on all rejects, up to `size` at a time. What ends it early is in the receipt."""
        receipt = Receipt(rejects.total, self.tell)
        try:
            for batch in rejects.batches(size):
                act(batch, receipt)
                receipt.looked += len(batch)
                self.progress(receipt.looked, rejects.total)
                if self.limit is not None and receipt.done >= self.limit:
                    break
            else:
                receipt.interrupted |= self.stop.requested and receipt.looked != receipt.total
        except Interrupted:
            receipt.interrupted = True
        except DlmonError as error:
            receipt.error = error
        receipt.still_there = rejects.still_there
        receipt.partial = rejects.partial
        return receipt

    def room(self, receipt: Receipt) -> int | None:
        """How many more it may be done to."""
        return None if self.limit is None else self.limit - receipt.done


def _count(reasons: Counter[str], why: str) -> None:
    reasons[why if why in reasons or len(reasons) < MAX_REASONS else "other reasons"] += 1
