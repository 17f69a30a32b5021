"""Acting on rejects, batch by batch, with a receipt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from dlmon.errors import DlmonError, Interrupted
from dlmon.rejects.queue import LockedReject, Rejects
from dlmon.rejects.receipt import OnEntry, Receipt, ignore_entry
from dlmon.runtime.stop import Stop

BATCH_SIZE = 2_000
"""Rejects that are read, acted on and settled together. A broker that writes to a disk takes about
as long for one as for this many. A kill leaves no more than these in both places."""

OnProgress: TypeAlias = Callable[[int, int | None], None]
"""Called with how many rejects were looked at, and of how many (None: unknown)."""


@dataclass(frozen=True, slots=True)
class Run:
    """How an action goes through rejects.

    limit: how many rejects it may be done to. dry_run: only find out what would be done. on_entry:
    called for each reject that was selected.
    """

    stop: Stop
    limit: int | None = None
    dry_run: bool = False
    on_progress: OnProgress = lambda _looked, _total: None
    on_entry: OnEntry = ignore_entry

    def process(
        self,
        rejects: Rejects,
        act: Callable[[Sequence[LockedReject], Receipt], None],
        size: int = BATCH_SIZE,
    ) -> Receipt:
        """Act on all rejects, up to `size` at a time. What ends this early is in the receipt."""
        receipt = Receipt(rejects.total, self.on_entry)
        try:
            for batch in rejects.batches(size):
                act(batch, receipt)
                receipt.looked += len(batch)
                self.on_progress(receipt.looked, rejects.total)
                if receipt.error is not None or self.remaining(receipt) == 0:
                    break
            else:
                receipt.interrupted |= self.stop.requested and receipt.looked != receipt.total
        except Interrupted:
            receipt.interrupted = True
        except DlmonError as error:
            receipt.error = receipt.error or error
        receipt.unremoved = rejects.unremoved
        receipt.partial = rejects.partial
        return receipt

    def remaining(self, receipt: Receipt) -> int | None:
        """How many more rejects it may be done to; None: any number."""
        return None if self.limit is None else max(0, self.limit - receipt.done)
