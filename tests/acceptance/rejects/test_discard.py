from __future__ import annotations

from pathlib import Path

import pytest

from dlmon.brokers.base import Broker
from dlmon.commands.discard_rejects import discard
from dlmon.commands.replay_rejects import Rules, replay
from dlmon.errors import FileError
from dlmon.messages import Queue
from dlmon.rejects.actions import BATCH_SIZE, Run
from dlmon.rejects.export import RejectsFile, read_rejects
from dlmon.rejects.filters import RejectFilter
from dlmon.rejects.queue import FiledRejects, QueuedRejects
from dlmon.rejects.receipt import Receipt
from dlmon.rejects.rejection import Rejection
from dlmon.runtime.stop import Stop
from tests.support.events import make_body
from tests.support.rejections import VALIDATOR, contents, ids, park, rejection, slow


def go(
    broker: Broker,
    stop: Stop,
    selection: RejectFilter,
    *,
    run: Run | None = None,
    export: RejectsFile | None = None,
) -> Receipt:
    with QueuedRejects(broker, VALIDATOR, stop) as rejects:
        return discard(rejects, selection, run or Run(stop), export=export)


def by_id(rejections: list[Rejection]) -> list[Rejection]:
    return sorted(rejections, key=lambda one: one.message_id)


def test_what_is_selected_is_gone_and_the_rest_stays(broker: Broker, stop: Stop) -> None:
    kept = rejection(make_body(file_size=-1))
    park(broker, [slow(), slow(), kept])
    receipt = go(broker, stop, RejectFilter(codes=frozenset({"type"})))
    assert (receipt.looked, receipt.selected, receipt.done) == (3, 2, 2)
    assert ids(broker, Queue.REJECTS) == [kept.message_id]


def test_a_dry_run_and_a_limit_are_kept(broker: Broker, stop: Stop) -> None:
    park(broker, [slow() for _ in range(5)])
    assert go(broker, stop, RejectFilter(), run=Run(stop, dry_run=True)).done == 5
    assert len(ids(broker, Queue.REJECTS)) == 5
    assert go(broker, stop, RejectFilter(), run=Run(stop, limit=2)).done == 2
    assert len(ids(broker, Queue.REJECTS)) == 3


@pytest.mark.parametrize("name", ["moved.ndjson", "moved.ndjson.gz"])
def test_what_is_moved_to_a_file_comes_back_by_a_replay(
    broker: Broker, stop: Stop, tmp_path: Path, name: str
) -> None:
    parked = [slow(), rejection(b"\xff\x00"), rejection(make_body(file_size=-1))]
    park(broker, parked)
    with RejectsFile(tmp_path / name) as file:
        assert go(broker, stop, RejectFilter(), export=file).done == 3
    assert not ids(broker, Queue.REJECTS)
    moved = list(read_rejects(tmp_path / name))
    assert by_id(moved) == by_id(parked)
    rejects = FiledRejects(read_rejects(tmp_path / name), stop)
    replay(rejects, broker, Rules(VALIDATOR, RejectFilter(), even_invalid=True), Run(stop))
    assert {one.body for one in contents(broker, Queue.ARRIVALS)} == {one.body for one in parked}


class _FullDisk(RejectsFile):
    """A disk with room for one batch."""

    synced = 0

    def sync(self) -> None:
        self.synced += 1
        if self.synced > 1:
            raise FileError(f"Cannot write {self.path}: No space left on device.")
        super().sync()


def test_what_the_file_cannot_take_is_not_removed(
    broker: Broker, stop: Stop, tmp_path: Path
) -> None:
    park(broker, [slow() for _ in range(2 * BATCH_SIZE)])
    with _FullDisk(tmp_path / "moved.ndjson") as file:
        receipt = go(broker, stop, RejectFilter(), export=file)
    assert isinstance(receipt.error, FileError)
    left = set(ids(broker, Queue.REJECTS))
    moved = {one.message_id for one in read_rejects(tmp_path / "moved.ndjson")}
    assert len(left) + receipt.done == 2 * BATCH_SIZE
    assert receipt.done == BATCH_SIZE
    assert len(left | moved) == 2 * BATCH_SIZE
