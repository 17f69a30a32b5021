from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import Any

import pytest

from dlmon.brokers import open_broker
from dlmon.brokers.base import Broker
from dlmon.brokers.local import LocalBroker
from dlmon.commands.replay_rejects import Rules, replay
from dlmon.config.settings import Settings
from dlmon.messages import Queue
from dlmon.rejects.actions import Run
from dlmon.rejects.filters import RejectFilter
from dlmon.rejects.patch import Patch
from dlmon.rejects.queue import FiledRejects, QueuedRejects
from dlmon.rejects.receipt import Receipt
from dlmon.rejects.rejection import Rejection
from dlmon.runtime.stop import Stop
from dlmon.validation.violations import Violation
from tests.support.amqp import raw_channel
from tests.support.events import make_body
from tests.support.messages import wait_until
from tests.support.rejections import VALIDATOR, contents, ids, park, rejection, slow

OLD = Violation("type", "/download_speed", "what an older schema said")
TO_NUMBER = ".download_speed |= tonumber"


def mended() -> Rejection:
    """A rejection that passes now."""
    return rejection(make_body(), OLD, headers={"agent": "7", "dlmon-published-at": 5})


def go(
    broker: Broker,
    stop: Stop,
    *,
    run: Run | None = None,
    rate: float | None = None,
    lifetime: float = 900.0,
    patch: str | None = None,
    **rules: Any,
) -> Receipt:
    reject_filter = rules.pop("reject_filter", RejectFilter())
    with ExitStack() as stack:
        if patch is not None:
            rules["patch"] = stack.enter_context(Patch(patch))
        rejects = stack.enter_context(QueuedRejects(broker, VALIDATOR, stop, lifetime=lifetime))
        return replay(
            rejects, broker, Rules(VALIDATOR, reject_filter, **rules), run or Run(stop), rate=rate
        )


def test_only_what_would_pass_goes_and_the_rest_is_left_with_its_reason(
    broker: Broker, stop: Stop
) -> None:
    passing = [mended() for _ in range(3)]
    failing = [slow(), rejection(make_body(file_size=-1)), rejection(b"not JSON")]
    park(broker, [*passing, *failing])
    receipt = go(broker, stop)
    assert (receipt.selected, receipt.done) == (6, 3)
    assert receipt.left == {
        "would be rejected again: type at /download_speed": 1,
        "would be rejected again: minimum at /file_size": 1,
        "would be rejected again: not-json": 1,
    }
    assert not receipt.failed
    assert ids(broker, Queue.ARRIVALS) == sorted(one.message_id for one in passing)
    assert ids(broker, Queue.REJECTS) == sorted(one.message_id for one in failing)


def test_a_replayed_message_is_as_it_was_but_for_what_rejecting_added(
    broker: Broker, stop: Stop
) -> None:
    parked = replace(mended(), replays=1)
    park(broker, [parked])
    go(broker, stop)
    (arrived,) = contents(broker, Queue.ARRIVALS)
    assert (arrived.body, arrived.message_id) == (parked.body, parked.message_id)
    assert arrived.content_type == "application/json"
    assert arrived.headers == {"agent": "7", "dlmon-published-at": 5, "dlmon-replays": 2}


def test_no_header_and_no_file_can_name_another_place_to_go(broker: Broker, stop: Stop) -> None:
    parked, filed = (replace(mended(), origin="amq.direct elsewhere") for _ in range(2))
    park(broker, [parked])
    assert go(broker, stop).done == 1
    replay(FiledRejects([filed], stop), broker, Rules(VALIDATOR, RejectFilter()), Run(stop))
    assert ids(broker, Queue.ARRIVALS) == sorted([parked.message_id, filed.message_id])


def test_a_rate_is_kept(broker: Broker, stop: Stop) -> None:
    park(broker, [mended() for _ in range(30)])
    started = time.monotonic()
    assert go(broker, stop, rate=20).done == 30
    assert time.monotonic() - started >= 29 / 20 - 0.05


def test_a_filter_decides_what_is_replayed(broker: Broker, stop: Stop) -> None:
    one, other = mended(), mended()
    park(broker, [one, other])
    receipt = go(broker, stop, reject_filter=RejectFilter(ids=frozenset({one.message_id})))
    assert (receipt.selected, receipt.done, receipt.looked) == (1, 1, 2)
    assert ids(broker, Queue.REJECTS) == [other.message_id]


def test_the_invalid_are_replayed_when_asked_for(broker: Broker, stop: Stop) -> None:
    parked = rejection(b"\xff not JSON")
    park(broker, [parked])
    assert go(broker, stop, even_invalid=True).done == 1
    assert [one.body for one in contents(broker, Queue.ARRIVALS)] == [parked.body]


def test_what_was_replayed_often_enough_is_left_alone(broker: Broker, stop: Stop) -> None:
    park(broker, [replace(mended(), replays=3), replace(mended(), replays=2)])
    receipt = go(broker, stop)
    assert receipt.done == 1
    assert receipt.left == {"replayed 3 times, and rejected each time (--max-replays)": 1}
    # What a reader returns at its end is there for the next one a moment later.
    wait_until(lambda: broker.depth(Queue.REJECTS).ready == 1)
    assert go(broker, stop, max_replays=4).done == 1


def test_a_limit_is_kept(broker: Broker, stop: Stop) -> None:
    park(broker, [mended() for _ in range(5)])
    receipt = go(broker, stop, run=Run(stop, limit=2))
    assert receipt.done == 2
    assert len(ids(broker, Queue.REJECTS)) == 3


def test_a_patch_corrects_the_event_and_keeps_its_id(broker: Broker, stop: Stop) -> None:
    parked = slow()
    hopeless = rejection(b"not JSON")
    park(broker, [parked, hopeless])
    receipt = go(broker, stop, patch=TO_NUMBER)
    assert receipt.done == 1
    assert receipt.left == {"cannot be patched: it is not JSON": 1}
    (arrived,) = contents(broker, Queue.ARRIVALS)
    assert arrived.message_id == parked.message_id
    assert VALIDATOR.validate(arrived.body).event["download_speed"] == 25.5


def test_a_patch_that_changes_nothing_leaves_every_byte(broker: Broker, stop: Stop) -> None:
    parked = replace(mended(), body=b"  " + make_body() + b"\n")
    park(broker, [parked])
    go(broker, stop, patch=TO_NUMBER)
    assert [one.body for one in contents(broker, Queue.ARRIVALS)] == [parked.body]


def test_a_patch_that_corrects_the_event_id_corrects_the_message_id(
    broker: Broker, stop: Stop
) -> None:
    park(broker, [rejection(make_body(event_id="ID-6f1b6f0e-0f4a-4b0e-9f7e-0b8f3d0a6b1c"))])
    go(broker, stop, patch='.event_id |= ltrimstr("ID-")')
    assert ids(broker, Queue.ARRIVALS) == ["6f1b6f0e-0f4a-4b0e-9f7e-0b8f3d0a6b1c"]


def test_a_patched_event_that_still_fails_stays_as_it_was(broker: Broker, stop: Stop) -> None:
    parked = slow(file_size=-1)
    park(broker, [parked])
    receipt = go(broker, stop, patch=TO_NUMBER)
    assert receipt.left == {"would be rejected again: minimum at /file_size": 1}
    assert [one.body for one in contents(broker, Queue.REJECTS)] == [parked.body]


def test_rejects_that_another_reader_holds_are_left_and_noted(broker: Broker, stop: Stop) -> None:
    park(broker, [mended() for _ in range(6)])
    with broker.open_reader(Queue.REJECTS, 2) as other:
        assert len(other.read(2)) == 2
        receipt = go(broker, stop)
    assert (receipt.done, receipt.partial) == (4, True)
    assert len(ids(broker, Queue.REJECTS)) == 2


def test_a_dry_run_changes_nothing(broker: Broker, stop: Stop) -> None:
    parked = [mended(), slow()]
    park(broker, parked)
    receipt = go(broker, stop, run=Run(stop, dry_run=True))
    assert (receipt.selected, receipt.done) == (2, 1)
    assert not ids(broker, Queue.ARRIVALS)
    assert len(ids(broker, Queue.REJECTS)) == 2


def come_back(broker: Broker, by_id: dict[str, Rejection], lasting: int) -> Callable[[Any], None]:
    """Stands in for a consumer that rejects what was replayed, the first `lasting` times."""
    left = lasting

    def on_entry(entry: Any) -> None:
        nonlocal left
        if entry.outcome == "replayed" and left:
            left -= 1
            park(broker, [replace(by_id[entry.message_id], replays=1)])

    return on_entry


def test_what_comes_back_is_not_replayed_again_in_the_same_run(broker: Broker, stop: Stop) -> None:
    parked = [mended() for _ in range(12)]
    park(broker, parked)
    by_id = {one.message_id: one for one in parked}
    # A low rate, so that there are several batches, and a reader for each.
    receipt = go(
        broker, stop, run=Run(stop, on_entry=come_back(broker, by_id, 99)), rate=8, lifetime=0
    )
    assert receipt.done == 12
    assert ids(broker, Queue.ARRIVALS) == sorted(by_id)
    assert {one.headers["dlmon-replays"] for one in contents(broker, Queue.REJECTS)} == {1}
    assert ids(broker, Queue.REJECTS) == sorted(by_id)


def test_a_reader_that_is_opened_again_and_again_counts_everything_once(
    broker: Broker, stop: Stop
) -> None:
    passing = [mended() for _ in range(20)]
    failing = [slow() for _ in range(20)]
    park(broker, [one for pair in zip(failing, passing, strict=True) for one in pair])
    receipt = go(broker, stop, rate=40, lifetime=0)
    assert (receipt.looked, receipt.done, receipt.left.total()) == (40, 20, 20)
    assert ids(broker, Queue.ARRIVALS) == sorted(one.message_id for one in passing)
    assert ids(broker, Queue.REJECTS) == sorted(one.message_id for one in failing)


def test_two_rejects_with_one_id_are_two(broker: Broker, stop: Stop) -> None:
    one = mended()
    other = replace(one, body=one.body.replace(b"1596500", b"1596501"))
    assert one.body != other.body
    park(broker, [one, other])
    assert go(broker, stop).done == 2
    assert {found.body for found in contents(broker, Queue.ARRIVALS)} == {one.body, other.body}


def test_only_what_an_earlier_look_handed_out_is_touched(broker: Broker, stop: Stop) -> None:
    shown = mended()
    park(broker, [shown])
    with QueuedRejects(broker, VALIDATOR, stop) as looked:
        assert len(list(looked.batches(10))) == 1
    later = mended()
    park(broker, [later])
    with QueuedRejects(broker, VALIDATOR, stop, only=looked.seen) as rejects:
        receipt = replay(rejects, broker, Rules(VALIDATOR, RejectFilter()), Run(stop))
    assert receipt.done == 1
    assert ids(broker, Queue.REJECTS) == [later.message_id]


def test_a_file_is_replayed_and_the_queue_left_alone(broker: Broker, stop: Stop) -> None:
    waiting = mended()
    park(broker, [waiting])
    filed = [mended(), mended(), slow()]
    rejects = FiledRejects(filed, stop)
    receipt = replay(rejects, broker, Rules(VALIDATOR, RejectFilter()), Run(stop))
    assert (receipt.total, receipt.done, receipt.left.total()) == (None, 2, 1)
    assert ids(broker, Queue.ARRIVALS) == sorted(one.message_id for one in filed[:2])
    assert ids(broker, Queue.REJECTS) == [waiting.message_id]


def test_a_stop_ends_it_between_two_messages_and_none_is_lost(
    settings: Settings, broker: Broker, stop: Stop
) -> None:
    parked = [mended() for _ in range(40)]
    park(broker, parked)
    outcomes: dict[str, str] = {}

    def on_entry(entry: Any) -> None:
        outcomes[entry.message_id] = entry.outcome
        stop.request()

    receipt = go(broker, stop, run=Run(stop, on_entry=on_entry), rate=10)
    assert receipt.interrupted
    assert 0 < receipt.done < 40
    done = sorted(one for one, outcome in outcomes.items() if outcome == "replayed")
    assert len(done) == receipt.done
    with open_broker(settings) as later:
        assert ids(later, Queue.ARRIVALS) == done
        assert ids(later, Queue.REJECTS) == sorted({one.message_id for one in parked} - {*done})


def test_what_arrivals_refuses_stays_in_rejects_and_is_reported(
    rabbitmq_settings: Settings, rabbitmq_url: str, stop: Stop
) -> None:
    with open_broker(rabbitmq_settings, stop) as broker:
        parked = [mended(), mended()]
        park(broker, parked)
        with raw_channel(rabbitmq_url) as channel:
            channel.queue_delete(f"{rabbitmq_settings.namespace}.arrivals")
        receipt = go(broker, stop)
        assert receipt.error is not None
        assert (receipt.done, receipt.failed.total()) == (0, 2)
        assert ids(broker, Queue.REJECTS) == sorted(one.message_id for one in parked)


def test_what_could_not_be_removed_is_removed_by_the_next_reader_and_published_once(
    settings: Settings, broker: Broker, stop: Stop
) -> None:
    if not isinstance(broker, LocalBroker):
        pytest.skip("takes a lease away, which only the local broker has")
    parked = [mended() for _ in range(6)]
    park(broker, parked)
    robbed = False

    def rob(_entry: Any) -> None:
        nonlocal robbed
        if not robbed:
            robbed = True
            end_all_leases(settings)

    receipt = go(broker, stop, run=Run(stop, on_entry=rob), rate=6)
    assert (receipt.done, receipt.unremoved, receipt.error) == (6, 0, None)
    assert ids(broker, Queue.ARRIVALS) == sorted(one.message_id for one in parked)
    assert not ids(broker, Queue.REJECTS)


def end_all_leases(settings: Settings) -> None:
    """As it is when a process did not run for longer than its lease."""
    path = str(settings.broker).removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE message SET holder = NULL")
        database.execute("DELETE FROM holder")
