"""Each filter, and some together, in all three commands."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from dlmon.brokers.base import Broker
from dlmon.messages import Queue
from dlmon.rejects.rejection import Rejection
from dlmon.runtime.timestamps import to_rfc3339
from tests.support.dlmon import Dlmon
from tests.support.events import make_body
from tests.support.rejections import ids, park, rejection, slow

MINUTE = 60_000
OLD_AT = 1_772_334_000_000
"""When OLD was rejected: 2026-03-01T03:00:00Z. The others are as old as a test needs them."""

OLD = replace(rejection(make_body(file_size=-1)), rejected_at=OLD_AT)
RECENT = replace(slow(agent="edge-7"), schema="urn:other:2 0123456789ab")
NEW = rejection(b"not JSON")


def rejected_ago(one: Rejection, minutes: int) -> Rejection:
    return replace(one, rejected_at=time.time_ns() // 1_000_000 - minutes * MINUTE)


@pytest.mark.parametrize(
    ("filters", "selected"),
    [
        (["--code", "type"], [RECENT]),
        (["--code", "type", "--code", "not-json"], [RECENT, NEW]),
        (["--path", "/download_speed"], [RECENT]),
        (["--path", ""], [NEW]),
        (["--since", "40m"], [RECENT, NEW]),
        (["--since", to_rfc3339(OLD_AT + 1)], [RECENT, NEW]),
        (["--until", "20m"], [OLD, RECENT]),
        (["--until", to_rfc3339(OLD_AT)], [OLD]),
        (["--contains", "edge-7"], [RECENT]),
        (["--contains", "less than the minimum"], [OLD]),
        (["--id", OLD.message_id, "--id", NEW.message_id], [OLD, NEW]),
        (["--schema-version", "urn:other:2"], [RECENT]),
        (["--since", "40m", "--until", "20m"], [RECENT]),
        (["--code", "type", "--path", "/file_size"], []),
    ],
)
def test_a_filter_selects_the_same_everywhere(
    broker: Broker, dlmon: Dlmon, filters: list[str], selected: list[Rejection]
) -> None:
    # Ages are counted from the run of the test, and 10 minutes away from what a filter asks for.
    park(broker, [OLD, rejected_ago(RECENT, minutes=30), rejected_ago(NEW, minutes=0)])
    expected = sorted(one.message_id for one in selected)
    assert found(dlmon.in_this_process("inspect-rejects", "--json", *filters)) == expected
    for command in (["replay-rejects", "--even-invalid"], ["discard-rejects"]):
        receipt = Path(dlmon.folder, command[0])
        dlmon.in_this_process(*command, *filters, "--dry-run", "--receipt", str(receipt))
        assert found(receipt.read_text()) == expected


def test_what_is_selected_is_all_that_is_touched(broker: Broker, dlmon: Dlmon) -> None:
    park(broker, [OLD, RECENT, rejected_ago(NEW, minutes=0)])
    dlmon("replay-rejects", "--even-invalid", "--contains", "edge-7", "--yes")
    assert ids(broker, Queue.ARRIVALS) == [RECENT.message_id]
    assert ids(broker, Queue.REJECTS) == sorted([OLD.message_id, NEW.message_id])
    dlmon("discard-rejects", "--until", "10m", "--yes")
    assert ids(broker, Queue.REJECTS) == [NEW.message_id]


def found(lines: str) -> list[str]:
    return sorted(json.loads(line)["message_id"] for line in lines.splitlines())
