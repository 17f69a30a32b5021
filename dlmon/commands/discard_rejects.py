"""`dlmon discard-rejects`: remove rejects for good, or move them into a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice

from dlmon.rejects.actions import Run
from dlmon.rejects.export import RejectsFile
from dlmon.rejects.filters import RejectFilter
from dlmon.rejects.queue import LockedReject, Rejects
from dlmon.rejects.receipt import Outcome, Receipt
from dlmon.rejects.rejection import Rejection


def discard(
    rejects: Rejects,
    reject_filter: RejectFilter,
    run: Run,
    *,
    export: RejectsFile | None = None,
    preview: Callable[[Rejection], None] | None = None,
) -> Receipt:
    """Remove the selected rejects.

    export: only rejects that are safely on disk in this file are removed. preview: called for each.
    """

    def act(batch: Sequence[LockedReject], receipt: Receipt) -> None:
        matching = (locked for locked in batch if reject_filter.matches(locked.rejection))
        selected = list(islice(matching, run.remaining(receipt)))
        if not run.dry_run:
            if export is not None:
                export.write([locked.rejection for locked in selected])
                export.sync()
            rejects.remove(selected)
        for locked in selected:
            if preview is not None:
                preview(locked.rejection)
            receipt.record(Outcome.DISCARDED, locked.rejection)

    return run.process(rejects, act)
