"""Each filter, and some together, in all three commands."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from dlmon.brokers.base import Broker
from dlmon.messages import Queue
from dlmon.runtime.timestamps import to_rfc3339
from tests.support.dlmon import Dlmon
from tests.support.events import make_body
from tests.support.rejections import ids, park, rejection, slow

MINUTE = 60_000
AN_HOUR_AGO = time.time_ns() // 1_000_000 - 60 * MINUTE

OLD = replace(rejection(make_body(file_size=-1)), rejected_at=AN_HOUR_AGO)
RECENT = replace(
    slow(agent="edge-7"), rejected_at=AN_HOUR_AGO + 55 * MINUTE, schema="urn:other:2 0123456789ab"
)
NEW = replace(rejection(b"not JSON"), rejected_at=AN_HOUR_AGO + 60 * MINUTE)


@pytest.mark.parametrize(
    ("filters", "selected"),
    [
        (["--code", "type"], [RECENT]),
        (["--code", "type", "--code", "not-json"], [RECENT, NEW]),
        (["--path", "/download_speed"], [RECENT]),
        (["--path", ""], [NEW]),
        (["--since", "15m"], [RECENT, NEW]),
        (["--since", to_rfc3339(AN_HOUR_AGO + 1)], [RECENT, NEW]),
        (["--until", "3m"], [OLD, RECENT]),
        (["--until", to_rfc3339(AN_HOUR_AGO)], [OLD]),
        (["--contains", "edge-7"], [RECENT]),
        (["--contains", "less than the minimum"], [OLD]),
        (["--id", OLD.message_id, "--id", NEW.message_id], [OLD, NEW]),
        (["--schema-version", "urn:other:2"], [RECENT]),
        (["--since", "15m", "--until", "3m"], [RECENT]),
        (["--code", "type", "--path", "/file_size"], []),
    ],
)
def test_a_filter_selects_the_same_everywhere(
    broker: Broker, dlmon: Dlmon, filters: list[str], selected: list[object]
) -> None:
    park(broker, [OLD, RECENT, NEW])
    expected = sorted(one.message_id for one in (OLD, RECENT, NEW) if one in selected)
    looked = dlmon("inspect-rejects", "--json", *filters)
    assert looked.returncode == 0, looked.stderr
    assert found(looked.stdout) == expected
    for command in (["replay-rejects", "--even-invalid"], ["discard-rejects"]):
        receipt = Path(dlmon.folder, command[0])
        done = dlmon(*command, *filters, "--dry-run", "--receipt", str(receipt))
        assert done.returncode == 0, done.stderr
        assert found(receipt.read_text()) == expected


def test_what_is_selected_is_all_that_is_touched(broker: Broker, dlmon: Dlmon) -> None:
    park(broker, [OLD, RECENT, NEW])
    dlmon("replay-rejects", "--even-invalid", "--contains", "edge-7", "--yes")
    assert ids(broker, Queue.ARRIVALS) == [RECENT.message_id]
    assert ids(broker, Queue.REJECTS) == sorted([OLD.message_id, NEW.message_id])
    dlmon("discard-rejects", "--until", "3m", "--yes")
    assert ids(broker, Queue.REJECTS) == [NEW.message_id]


def found(lines: str) -> list[str]:
    return sorted(json.loads(line)["message_id"] for line in lines.splitlines())
