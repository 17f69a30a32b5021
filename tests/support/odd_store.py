"""dlmon with a SQLite store that is slow, or that one event is the end of: a program of its own.

The first argument is `sleeps=SECONDS`, by which each write takes longer, or `dies-of=ID`, an event
with which the process ends in the middle of a write, as in a crash of a library. The other
arguments are those of `dlmon`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence

import dlmon.stores.sqlite
from dlmon.cli import main
from dlmon.stores.base import Entry, WriteResult

PROGRAM = (sys.executable, "-P", __file__)


class OddStore(dlmon.stores.sqlite.SqliteStore):
    """Does as the arguments say."""

    how = ""
    what = ""

    def write(self, entries: Sequence[Entry]) -> WriteResult:
        if self.how == "sleeps":
            time.sleep(float(self.what))
        elif self.what in {entry.event_id for entry in entries}:
            os._exit(70)
        return super().write(entries)


if __name__ == "__main__":
    OddStore.how, _, OddStore.what = sys.argv.pop(1).partition("=")
    dlmon.stores.sqlite.SqliteStore = OddStore  # type: ignore[misc]
    main()
