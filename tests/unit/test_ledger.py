from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from dlmon.errors import FileError
from dlmon.messages import Message
from dlmon.sources.base import PlannedEvent
from dlmon.sources.ledger import Ledger

EVENTS = [PlannedEvent("id-1", b"{}", "valid"), PlannedEvent('id "2"', b"", "not-json")]


def lines(path: Path) -> list[object]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def test_events_are_planned_and_then_confirmed_one_a_line(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with Ledger(path) as ledger:
        ledger.plan(EVENTS)
        # Out of this process's hands at once: nothing waits in a buffer for a close.
        planned = [{"id": "id-1", "verdict": "valid"}, {"id": 'id "2"', "verdict": "not-json"}]
        assert lines(path) == planned
        ledger.confirm([Message(b"", 'id "2"')])
        assert lines(path) == [*planned, {"id": 'id "2"', "confirmed": True}]


def test_a_second_run_appends(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    for event in EVENTS:
        with Ledger(path) as ledger:
            ledger.plan([event])
    assert len(lines(path)) == 2


def test_a_torn_line_stays_a_line_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    path.write_bytes(b'{"id":"id-0","verd')
    for event in EVENTS:
        with Ledger(path) as ledger:
            ledger.plan([event])
    torn, *rest = path.read_bytes().splitlines()
    assert torn == b'{"id":"id-0","verd'
    assert [orjson.loads(line)["id"] for line in rest] == ["id-1", 'id "2"']


def test_a_ledger_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"Cannot write the ledger .*: Is a directory\.") as caught:
        Ledger(tmp_path)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "content",
    [
        b"SQLite format 3\0and tables\n",
        b"7\x7f\x06\x82a log of SQLite\n",
        b'namespace = "fleet"\n',
        b"\x1f\x8b\x08packed\n",
        b"a password\n",
    ],
)
def test_nothing_is_appended_to_a_file_of_something_else(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ledger"
    path.write_bytes(content)
    with pytest.raises(FileError, match=r"holds something else than JSON lines\. Choose another"):
        Ledger(path)
    assert path.read_bytes() == content


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_is_an_error() -> None:
    with Ledger(Path("/dev/full")) as ledger:
        with pytest.raises(FileError, match="No space left"):
            ledger.plan(EVENTS)
        with pytest.raises(FileError, match="No space left"):
            ledger.confirm([Message(b"", "id-1")])
