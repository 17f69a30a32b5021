"""Python's garbage collector and its lock, told what kind of program this is."""

from __future__ import annotations

import gc
import sys

_ALLOCATIONS = 100_000
_TURN = 0.02  # seconds


def tune_gc() -> None:
    """For a process that makes a great many values, and no cycles: look for those every so often.

    Unless told, it looks after each 700 values: a twelfth of the time of such a process. What is
    there by now, the libraries above all, is not looked through again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS)


def tune_switch_interval() -> None:
    """For a process whose threads all wait for something soon: let each have Python's lock until
    it does.

    Unless told, the receiving thread takes turns of 5 ms from the one that judges and stores, and
    has nothing left to do while that one waits for the disk.
    """
    sys.setswitchinterval(_TURN)
