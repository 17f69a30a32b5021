"""What `dlmon.Publisher` promises to programs that publish events, over both brokers."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from dlmon import (
    BrokerUnreachable,
    Interrupted,
    InvalidEvent,
    Publisher,
    UsageError,
    Validator,
    load_schema,
)
from dlmon.brokers.base import Broker
from dlmon.config.settings import Settings
from dlmon.messages import PUBLISHED_AT, Queue
from tests.support.dlmon import url_of
from tests.support.events import make_body, make_event
from tests.support.messages import PATIENCE, in_queue
from tests.support.node import PrivateNode

EXAMPLE = Path(__file__).parents[2] / "examples" / "publish_events.py"


@pytest.fixture
def url(settings: Settings) -> str:
    return url_of(settings)


@pytest.fixture
def publisher(url: str, namespace: str) -> Iterator[Publisher]:
    with Publisher(url, namespace=namespace) as publisher:
        yield publisher


def test_what_was_published_is_on_arrivals_after_a_flush(
    broker: Broker, publisher: Publisher
) -> None:
    event, body = make_event(), make_body()
    ids = [publisher.publish(event), publisher.publish(body)]
    publisher.flush()
    assert publisher.unconfirmed == 0
    deliveries = {delivery.message_id: delivery for delivery in in_queue(broker, Queue.ARRIVALS)}
    assert ids == [event["event_id"], orjson.loads(body)["event_id"]]
    assert set(deliveries) == set(ids)
    assert orjson.loads(deliveries[ids[0]].body) == event
    assert deliveries[ids[1]].body == body
    assert set(deliveries[ids[0]].headers) == {PUBLISHED_AT}


def test_dates_and_uuids_are_written_as_the_schema_wants_them(
    broker: Broker, publisher: Publisher
) -> None:
    event_id = uuid.uuid4()
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    publisher.publish(make_event(event_id=event_id, timestamp=at))
    publisher.flush()
    [delivery] = in_queue(broker, Queue.ARRIVALS)
    assert delivery.message_id == str(event_id)
    assert orjson.loads(delivery.body)["timestamp"] == "2026-03-01T12:00:00+00:00"


def test_any_number_of_threads_may_publish_and_flush(broker: Broker, publisher: Publisher) -> None:
    ids: list[str] = []

    def publish() -> None:
        ids.extend([publisher.publish(make_event()) for _ in range(50)])
        publisher.flush()

    threads = [threading.Thread(target=publish) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ids) == sorted(
        delivery.message_id or "" for delivery in in_queue(broker, Queue.ARRIVALS)
    )
    assert len(ids) == 500


@pytest.mark.parametrize(
    ("event", "code", "path"),
    [
        (make_event(download_speed=-1), "minimum", "/download_speed"),
        (make_event(timestamp=datetime(2026, 3, 1)), "format", "/timestamp"),
        (b'{"event_id": ', "not-json", ""),
        (b"[]", "type", ""),
    ],
)
def test_an_invalid_event_is_not_published_and_the_error_says_why(
    broker: Broker, publisher: Publisher, event: dict[str, object] | bytes, code: str, path: str
) -> None:
    with pytest.raises(InvalidEvent, match=code) as error:
        publisher.publish(event)
    first = error.value.violations[0]
    assert (first.code, first.path) == (code, path)
    publisher.flush()
    assert in_queue(broker, Queue.ARRIVALS) == []


def test_without_validation_any_bytes_are_published(
    broker: Broker, url: str, namespace: str
) -> None:
    with Publisher(url, namespace=namespace, validate=False) as publisher:
        message_id = publisher.publish(b"\xff")
    [delivery] = in_queue(broker, Queue.ARRIVALS)
    assert (delivery.body, delivery.message_id) == (b"\xff", message_id)


def test_another_schema_can_be_chosen(url: str, namespace: str, tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text('{"required": ["agent"]}')
    validator = Validator(load_schema(schema))
    with Publisher(url, namespace=namespace, validate=validator) as publisher:
        publisher.publish({"agent": "4.2.0"})
        with pytest.raises(InvalidEvent, match="required"):
            publisher.publish(make_event())


def test_what_json_cannot_hold_is_refused_in_words(publisher: Publisher) -> None:
    for value in (object(), 2**64, {1, 2}, float):
        with pytest.raises(UsageError, match="cannot be written as JSON"):
            publisher.publish(make_event(file_size=value))


def test_close_confirms_what_was_published(broker: Broker, url: str, namespace: str) -> None:
    publisher = Publisher(url, namespace=namespace)
    ids = {publisher.publish(make_event()) for _ in range(3_000)}
    publisher.close()
    publisher.close()
    assert ids == {delivery.message_id for delivery in in_queue(broker, Queue.ARRIVALS)}
    for call in (lambda: publisher.publish(make_event()), publisher.flush):
        with pytest.raises(UsageError, match="closed"):
            call()


def test_a_program_that_ends_without_closing_has_published(
    broker: Broker, url: str, namespace: str, tmp_path: Path
) -> None:
    program = (
        "import sys\nfrom dlmon import Publisher\n"
        "publisher = Publisher(sys.argv[1], namespace=sys.argv[2], validate=False)\n"
        "for number in range(100): publisher.publish({'event_id': str(number)})\n"
    )
    subprocess.run(
        [sys.executable, "-c", program, url, namespace], check=True, cwd=tmp_path, timeout=180
    )
    assert len(in_queue(broker, Queue.ARRIVALS)) == 100


def test_a_forked_process_is_told_to_make_its_own(broker: Broker, publisher: Publisher) -> None:
    child = os.fork()
    if child == 0:
        with pytest.raises(UsageError, match="fork"):
            publisher.publish(make_event())
        with pytest.raises(UsageError, match="fork"):
            publisher.flush()
        publisher.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    publisher.publish(make_event())
    publisher.flush()
    assert len(in_queue(broker, Queue.ARRIVALS)) == 1


def test_the_example_publishes_what_is_valid_and_says_what_is_not(
    settings: Settings, url: str, tmp_path: Path
) -> None:
    assert len(EXAMPLE.read_text().splitlines()) <= 20
    example = tmp_path / "example.py"
    example.write_text(
        EXAMPLE.read_text().replace(
            "Publisher(sys.argv[1])", f"Publisher(sys.argv[1], namespace={settings.namespace!r})"
        )
    )
    done = subprocess.run(
        [sys.executable, str(example), url], capture_output=True, text=True, check=True, timeout=180
    )
    assert done.stdout == (
        "The event was not published: minimum at /download_speed: "
        "-1 is less than the minimum of 0.\n"
    )


def test_a_broker_that_does_not_answer_is_an_error_at_once(namespace: str, tmp_path: Path) -> None:
    (tmp_path / "folder.db").mkdir()
    for url in ("amqp://guest:guest@127.0.0.1:1/", f"sqlite:///{tmp_path}/folder.db"):
        with pytest.raises(BrokerUnreachable):
            Publisher(url, namespace=namespace)


@pytest.mark.slow
def test_events_survive_a_broker_that_is_away(private_node: PrivateNode, namespace: str) -> None:
    publisher = Publisher(private_node.url, namespace=namespace)
    publisher.publish(make_event())
    publisher.flush()
    private_node.kill()
    ids = {publisher.publish(make_event()) for _ in range(100)}
    with pytest.raises(BrokerUnreachable, match=r"100 events are not confirmed after 0\.2 s"):
        publisher.flush(timeout=0.2)
    private_node.start()
    publisher.flush(timeout=180)
    assert publisher.unconfirmed == 0
    publisher.close()
    assert len(ids) == 100


@pytest.mark.slow
def test_closing_while_the_broker_is_away_says_how_many_events_are_unconfirmed(
    private_node: PrivateNode, namespace: str
) -> None:
    publisher = Publisher(private_node.url, namespace=namespace)
    private_node.kill()
    for _ in range(7):
        publisher.publish(make_event())
    errors: list[Exception] = []

    def flush() -> None:
        try:
            publisher.flush()
        except Interrupted as error:
            errors.append(error)

    waiting = threading.Thread(target=flush)
    waiting.start()
    with pytest.raises(Interrupted, match="7 events were published and not confirmed"):
        publisher.close(timeout=0.2)
    waiting.join(PATIENCE)
    assert len(errors) == 1
