"""What a ledger says, read as its documentation tells to."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import orjson


def read_ledger(path: Path) -> tuple[Counter[tuple[str, str]], Counter[str]]:
    """How often each (id, verdict) was planned, and how often each id was confirmed."""
    planned: Counter[tuple[str, str]] = Counter()
    confirmed: Counter[str] = Counter()
    for line in path.read_bytes().splitlines():
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        if record.get("confirmed"):
            confirmed[record["id"]] += 1
        else:
            planned[record["id"], record["verdict"]] += 1
    return planned, confirmed
