"""Writes batches into a SQLite store by whatever dlmon is installed, and says how long it took.

It prints the seconds by the clock, and those of a core.

    python growth_writer.py PATH UUID_VERSION EVENTS

A program of its own, and none of this package: versions since 0.1.0 run it.
"""

from __future__ import annotations

import json
import secrets
import sys
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

from dlmon.stores.base import Entry
from dlmon.stores.sqlite import SqliteStore

_BATCH = 2_000
_APART = 0.0001  # seconds from one event to the next


def _entry(at: float, version: int) -> Entry:
    number = secrets.randbits(128)
    if version == 7:
        number = int(at * 1000) << 80 | 7 << 76 | number & ((1 << 76) - 1)
    event_id = str(uuid.UUID(int=number))
    event = {
        "event_id": event_id,
        "timestamp": datetime.fromtimestamp(at, UTC).isoformat()[:26].replace("+00:00", "") + "Z",
        "coordinates": {"latitude": 51.935739, "longitude": -8.38847},
        "file_size": 1_596_500,
        "download_speed": 12.772,
    }
    return Entry(event_id, json.dumps(event).encode(), event)


def main() -> None:
    """Write, and print how long it took."""
    path, version, count = sys.argv[1:]
    now = time.time()
    taken = used = 0.0
    with SqliteStore(Path(path)) as store:
        for start in range(0, int(count), _BATCH):
            entries = [_entry(now + _APART * (start + n), int(version)) for n in range(_BATCH)]
            began, began_core = time.perf_counter(), time.process_time()
            written = store.write(entries)
            taken += time.perf_counter() - began
            used += time.process_time() - began_core
            assert len(written.stored) == _BATCH
    print(taken, used)


if __name__ == "__main__":
    main()
