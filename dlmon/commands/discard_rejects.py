"""`dlmon discard-rejects`: remove rejects for good, or into a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice

from dlmon.rejects.actions import Outcome, Receipt, Run
from dlmon.rejects.export import RejectsFile
from dlmon.rejects.filters import RejectFilter
from dlmon.rejects.queue import LockedReject, Rejects
from dlmon.rejects.rejection import Rejection


def discard(
    rejects: Rejects,
    selection: RejectFilter,
    run: Run,
    *,
    export: RejectsFile | None = None,
    preview: Callable[[Rejection], None] | None = None,
) -> Receipt:
    """Remove the selected rejects.

    export: only what the disk has safely in this file is removed. preview: shown each of them.
    """

    def act(batch: Sequence[LockedReject], receipt: Receipt) -> None:
        selected = (held for held in batch if selection.matches(held.rejection))
        chosen = list(islice(selected, run.room(receipt)))
        if not run.dry_run:
            if export is not None:
                export.write([held.rejection for held in chosen])
                export.sync()
            rejects.remove(chosen)
        for held in chosen:
            if preview is not None:
                preview(held.rejection)
            receipt.note(Outcome.DISCARDED, held.rejection)

    return run.through(rejects, act)
