"""What only the local broker does: leases and locks."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from dlmon.brokers.base import Depth
from dlmon.brokers.local import LocalBroker, database, lease
from dlmon.config.names import Names
from dlmon.errors import BrokerUnreachable, Interrupted
from dlmon.messages import Message, Queue
from dlmon.runtime.stop import Stop
from tests.support.messages import PATIENCE, ids, in_queue, make_messages, receive


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "broker.db"


@pytest.fixture
def broker(path: Path) -> Iterator[LocalBroker]:
    with LocalBroker(path, Names()) as broker:
        yield broker


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep everybody from writing, as a long transaction of another process does."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield


def shift_leases(path: Path, seconds: float) -> None:
    """As if every lease had been renewed so much later: the other way round, the clock was set."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE holder SET renewed_at = renewed_at + ?", (seconds,))


def test_namespaces_in_one_file_are_apart(path: Path, broker: LocalBroker) -> None:
    mine, theirs = make_messages(2)
    with LocalBroker(path, Names("other")) as other:
        broker.publish(Queue.ARRIVALS, [[mine]])
        other.publish(Queue.ARRIVALS, [[theirs]])
        assert ids(in_queue(broker, Queue.ARRIVALS)) == ids([mine])
        assert ids(in_queue(other, Queue.ARRIVALS)) == ids([theirs])


@pytest.mark.slow
def test_the_file_does_not_grow_with_what_went_through_it(path: Path, broker: LocalBroker) -> None:
    sizes = []
    with broker.open_consumer(1_000) as consumer:
        for _ in range(30):
            broker.publish(Queue.ARRIVALS, [make_messages(1_000)])
            consumer.acknowledge(receive(consumer, 1_000))
            sizes.append(path.stat().st_size)
    # It grows with what it has had to hold at once, and with pages that lie free here and there.
    assert sizes[-1] < 1.5 * sizes[10]
    assert sizes[-1] < 2_000_000


def test_what_is_published_is_synchronised_to_the_disk(path: Path, broker: LocalBroker) -> None:
    with (
        closing(database.Database(path)) as opened,
        opened.write(lambda: True) as connection,
    ):
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_failing_disk_refuses_what_it_has_not_taken(path: Path, broker: LocalBroker) -> None:
    code = f"""
import resource
from pathlib import Path
from dlmon.brokers.base import Queue
from dlmon.brokers.local import LocalBroker
from dlmon.config.names import Names
from dlmon.errors import PublishRefused
from tests.support.messages import make_messages
confirmed = []
messages = make_messages(20_000)
with LocalBroker(Path({str(path)!r}), Names()) as broker:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
    batches = (messages[at:at + 100] for at in range(0, len(messages), 100))
    try:
        broker.publish(Queue.ARRIVALS, batches, confirmed=confirmed.extend)
    except PublishRefused as error:
        assert confirmed + list(error.messages) == messages[:len(confirmed) + len(error.messages)]
        print(len(confirmed), error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    confirmed, reason = done.stdout.split(" ", 1)
    assert "check the disk" in reason
    assert int(confirmed) > 0
    assert broker.depth(Queue.ARRIVALS) == Depth(ready=int(confirmed), held=0)


# Locks


def test_opening_a_locked_file_gives_up(
    path: Path, broker: LocalBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_OPEN_TIMEOUT", 0.2)
    with locked(path), pytest.raises(BrokerUnreachable, match=r"keeps .* locked: end it"):
        LocalBroker(path, Names())


def test_publishing_waits_for_a_lock_and_then_commits_all_that_came_meanwhile_at_once(
    path: Path, broker: LocalBroker
) -> None:
    commits: list[Sequence[Message]] = []
    published = make_messages(500)

    def batches() -> Iterator[list[Message]]:
        with locked(path):
            for message in published:
                yield [message]
            assert commits == []

    assert broker.publish(Queue.ARRIVALS, batches(), confirmed=commits.append) == 500
    assert [message for commit in commits for message in commit] == published
    assert len(commits) <= 2


def test_a_stop_that_expires_ends_the_wait_for_a_lock(path: Path, broker: LocalBroker) -> None:
    stop = Stop(grace=0.1)
    stop.request()
    with locked(path), pytest.raises(Interrupted, match=r"keeps .* locked"):
        broker.publish(Queue.ARRIVALS, [make_messages(3)], stop=stop)
    assert broker.depth(Queue.ARRIVALS).ready == 0


def test_a_stop_that_is_only_requested_lets_publishing_finish(broker: LocalBroker) -> None:
    stop = Stop()
    stop.request()
    assert broker.publish(Queue.ARRIVALS, [make_messages(3)], stop=stop) == 3


def test_receiving_from_a_locked_file_gives_none_in_time(path: Path, broker: LocalBroker) -> None:
    broker.publish(Queue.ARRIVALS, [make_messages(1)])
    with broker.open_consumer(1) as consumer:
        with locked(path):
            assert consumer.receive(1, 0.3) == []
        assert len(receive(consumer, 1)) == 1


def test_acknowledging_waits_for_a_lock(path: Path, broker: LocalBroker) -> None:
    broker.publish(Queue.ARRIVALS, [make_messages(1)])
    with broker.open_consumer(1) as consumer:
        deliveries = receive(consumer, 1)
        acknowledging = threading.Thread(target=consumer.acknowledge, args=(deliveries,))
        with locked(path):
            acknowledging.start()
            acknowledging.join(0.3)
            assert acknowledging.is_alive()
        acknowledging.join(PATIENCE)
        assert not acknowledging.is_alive()
        assert broker.depth(Queue.ARRIVALS) == Depth(ready=0, held=0)


def test_what_cannot_be_given_back_at_close_comes_back_when_the_lease_ends(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lease, "_CLOSE_TIMEOUT", 0.1)
    with LocalBroker(path, Names(), lease=0.5) as broker:
        broker.publish(Queue.ARRIVALS, [make_messages(1)])
        consumer = broker.open_consumer(1)
        receive(consumer, 1)
        with locked(path):
            consumer.close()
        assert "given back in 0.5 s" in caplog.text
        with broker.open_consumer(1) as consumer:
            [again] = receive(consumer, 1)
    assert again.delivery_count == 1


# Leases


@pytest.mark.slow
def test_a_lease_is_renewed_for_as_long_as_the_consumer_is_open(path: Path) -> None:
    with (
        # Longer than the disk of a busy machine may take to commit.
        LocalBroker(path, Names(), lease=3.0) as broker,
        broker.open_consumer(3) as holding,
        broker.open_consumer(3) as waiting,
    ):
        broker.publish(Queue.ARRIVALS, [make_messages(3)])
        held = receive(holding, 3)
        assert waiting.receive(3, 4.0) == []
        assert broker.depth(Queue.ARRIVALS) == Depth(ready=0, held=3)
        holding.acknowledge(held)
        assert broker.depth(Queue.ARRIVALS) == Depth(ready=0, held=0)


# A minute back is a suspended process, or a clock that was set ahead; a minute ahead is a clock
# that was set back.
@pytest.mark.parametrize("minutes", [-1, 1])
def test_a_lease_that_was_lost_settles_nobody_elses_delivery(
    path: Path, broker: LocalBroker, minutes: int, caplog: pytest.LogCaptureFixture
) -> None:
    broker.publish(Queue.ARRIVALS, [make_messages(3)])
    with broker.open_consumer(2) as suspended:
        stale = receive(suspended, 2)
        shift_leases(path, 60 * minutes)
        assert broker.depth(Queue.ARRIVALS) == Depth(ready=3, held=0)
        with broker.open_consumer(2) as other:
            taken = receive(other, 2)
            assert [delivery.delivery_count for delivery in taken] == [1, 1]
            suspended.acknowledge(stale)
            assert "2 events that it had in hand" in caplog.text
            assert broker.depth(Queue.ARRIVALS) == Depth(ready=1, held=2)
            # It goes on with what is left.
            rest = receive(suspended, 1)
            suspended.acknowledge(rest)
            other.acknowledge(taken)
    assert ids([*taken, *rest]) == ids(make_messages(3))
    assert broker.depth(Queue.ARRIVALS) == Depth(ready=0, held=0)


def test_a_consumer_whose_lease_was_lost_receives_again(path: Path, broker: LocalBroker) -> None:
    broker.publish(Queue.ARRIVALS, [make_messages(2)])
    with broker.open_consumer(2) as suspended:
        receive(suspended, 1)
        shift_leases(path, -60)
        broker.open_consumer(1).close()
        assert ids(receive(suspended, 2)) == ids(make_messages(2))


def test_a_reader_whose_lease_was_lost_says_so_and_removes_nothing(
    path: Path, broker: LocalBroker
) -> None:
    broker.publish(Queue.REJECTS, [make_messages(3)])
    with broker.open_reader(Queue.REJECTS) as suspended:
        stale = suspended.read(2)
        shift_leases(path, -60)
        assert ids(in_queue(broker, Queue.REJECTS)) == ids(make_messages(3))
        with pytest.raises(BrokerUnreachable, match="given back"):
            suspended.acknowledge(stale)
        with pytest.raises(BrokerUnreachable, match="given back"):
            suspended.read(2)
    assert ids(in_queue(broker, Queue.REJECTS)) == ids(make_messages(3))


def test_a_reader_counts_towards_no_delivery_limit(path: Path, broker: LocalBroker) -> None:
    broker.publish(Queue.ARRIVALS, [make_messages(1)])
    for _ in range(30):
        assert len(in_queue(broker, Queue.ARRIVALS)) == 1
    with broker.open_reader(Queue.ARRIVALS) as suspended:
        suspended.read(1)
        shift_leases(path, -60)
        with broker.open_consumer(1) as consumer:
            [delivery] = receive(consumer, 1)
    assert delivery.delivery_count == 0


def test_what_was_published_first_is_received_first(broker: LocalBroker) -> None:
    published = make_messages(100)
    broker.publish(Queue.ARRIVALS, [published])
    with broker.open_consumer(100) as consumer:
        received = receive(consumer, 100)
    assert [delivery.message_id for delivery in received] == [m.message_id for m in published]


@pytest.mark.slow
def test_waiting_costs_next_to_nothing(broker: LocalBroker) -> None:
    with broker.open_consumer(1) as consumer:
        consumer.receive(1, 0.1)
        before = time.process_time()
        consumer.receive(1, 2.0)
        assert time.process_time() - before < 0.2
