"""Python's garbage collector and its global lock (the GIL), tuned to what a process does."""

from __future__ import annotations

import gc
import sys

_ALLOCATIONS = 100_000
_SWITCH_INTERVAL = 0.02  # seconds


def tune_gc() -> None:
    """For a process that makes many values and few cycles: look for cycles rarely.

    By default Python looks after every 700 allocations, which takes a twelfth of the time of such a
    process. Objects that exist already, above all those of libraries, are not looked at again.
    """
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS)


def tune_switch_interval() -> None:
    """For a process whose threads all wait for something soon: let each keep the GIL until then.

    By default the receiving thread takes the GIL from the thread that validates and stores every
    5 ms, and then has nothing to do while that thread waits for the disk.
    """
    sys.setswitchinterval(_SWITCH_INTERVAL)
