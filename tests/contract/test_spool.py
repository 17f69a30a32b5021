"""`dlmon.Publisher` with a file in which events wait for their broker, over both brokers."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import orjson
import pytest

from dlmon import BrokerUnreachable, InvalidEvent, Publisher, SettingsError, UsageError
from dlmon.brokers.base import Broker
from dlmon.brokers.local import LocalBroker
from dlmon.config.names import Names
from dlmon.config.settings import Settings
from dlmon.messages import Queue
from tests.support.dlmon import url_of
from tests.support.events import make_event
from tests.support.messages import in_queue, wait_until

NOBODY = "amqp://guest:guest@127.0.0.1:1/"

COLLECT = """
import os, sys
from dlmon import Publisher
from tests.support.events import make_event

publisher = Publisher(sys.argv[1], namespace=sys.argv[2], spool=sys.argv[3])
for _ in range(40):
    print(publisher.publish(make_event()), flush=True)
os.kill(os.getpid(), 9)
"""


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "van.db"


def left_in(spool: Path, namespace: str) -> list[str | None]:
    with LocalBroker(spool, Names(namespace)) as local:
        return [delivery.message_id for delivery in in_queue(local, Queue.ARRIVALS)]


def arrived(broker: Broker) -> set[str | None]:
    return {delivery.message_id for delivery in in_queue(broker, Queue.ARRIVALS)}


def test_what_was_published_reaches_the_broker_through_the_file(
    broker: Broker, settings: Settings, namespace: str, spool: Path
) -> None:
    with Publisher(url_of(settings), namespace=namespace, spool=spool) as publisher:
        ids = {publisher.publish(make_event()) for _ in range(20)}
        publisher.flush(60)
        assert arrived(broker) == ids
    assert left_in(spool, namespace) == []


def test_without_a_network_events_wait_for_the_next_program(
    broker: Broker, settings: Settings, namespace: str, spool: Path
) -> None:
    offline = Publisher(NOBODY, namespace=namespace, spool=spool)
    ids = {offline.publish(make_event()) for _ in range(30)}
    with pytest.raises(BrokerUnreachable, match=r"^30 events are still in the spool after 0\.1 s"):
        offline.flush(0.1)
    offline.close(0.1)
    assert set(left_in(spool, namespace)) == ids
    with Publisher(url_of(settings), namespace=namespace, spool=spool) as publisher:
        publisher.flush(60)
    assert arrived(broker) == ids


def test_what_a_killed_program_had_published_is_sent_by_the_next_one(
    broker: Broker, settings: Settings, namespace: str, spool: Path
) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", COLLECT, NOBODY, namespace, str(spool)],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": "."},
        capture_output=True,
        text=True,
        check=False,
    )
    ids = set(killed.stdout.split())
    assert (killed.returncode, len(ids)) == (-9, 40)
    with Publisher(url_of(settings), namespace=namespace, spool=spool) as publisher:
        publisher.flush(60)
    assert arrived(broker) == ids


def test_threads_and_publishers_share_a_file_and_events_are_packed(
    broker: Broker, settings: Settings, namespace: str, spool: Path
) -> None:
    offline = [Publisher(NOBODY, namespace=namespace, spool=spool) for _ in range(2)]
    ids: list[str] = []

    def collect(publisher: Publisher) -> None:
        ids.extend([publisher.publish(make_event()) for _ in range(25)])

    threads = [threading.Thread(target=collect, args=(one,)) for one in offline * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for publisher in offline:
        publisher.close(0)
    with Publisher(
        url_of(settings), namespace=namespace, spool=spool, events_per_message=50
    ) as publisher:
        publisher.flush(60)
    packed = in_queue(broker, Queue.ARRIVALS)
    assert [one.content_type for one in packed] == ["application/x-ndjson"] * 2
    events = [orjson.loads(line) for one in packed for line in one.body.split(b"\n")]
    assert sorted(event["event_id"] for event in events) == sorted(ids)


def test_a_refused_event_is_not_in_the_file(namespace: str, spool: Path) -> None:
    publisher = Publisher(NOBODY, namespace=namespace, spool=spool)
    with pytest.raises(InvalidEvent):
        publisher.publish(make_event(file_size=-1))
    publisher.close(0)
    assert left_in(spool, namespace) == []


def test_a_file_that_cannot_be_used_is_an_error_at_once(tmp_path: Path) -> None:
    odd = tmp_path / "odd.db"
    odd.write_bytes(b"not a database, and long enough to be recognised as none" * 20)
    with pytest.raises(BrokerUnreachable, match="it is something else"):
        Publisher(NOBODY, spool=odd)


def test_options_that_make_no_sense_are_refused(spool: Path) -> None:
    with pytest.raises(UsageError, match="need a spool"):
        Publisher(NOBODY, events_per_message=2)
    with pytest.raises(UsageError, match="compress has to be one of gzip, zstd"):
        Publisher(NOBODY, spool=spool, compress="zip")
    with pytest.raises(UsageError, match="at least 1"):
        Publisher(NOBODY, spool=spool, events_per_message=0)
    with pytest.raises(SettingsError):
        Publisher("https://somewhere", spool=spool)


def test_the_file_grows_by_no_event_while_the_broker_answers(
    broker: Broker, settings: Settings, namespace: str, spool: Path
) -> None:
    with Publisher(url_of(settings), namespace=namespace, spool=spool) as publisher:
        for number in range(1, 4):
            publisher.publish(make_event())
            wait_until(lambda: broker.depth(Queue.ARRIVALS).ready == number)  # noqa: B023
            wait_until(lambda: left_in(spool, namespace) == [])
