"""Python's garbage collector, told what kind of program this is."""

from __future__ import annotations

import gc

_ALLOCATIONS = 100_000


def collect_rarely() -> None:
    """For a process that makes a great many values, and no cycles: look for those every so often.

    Unless told, it looks after each 700 values: a twelfth of the time of such a process. What is
    there by now, the libraries above all, is not looked through again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS)
