"""Rejects that an operator's binding or policy moves back to arrivals."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dlmon.brokers import open_broker
from dlmon.brokers.base import Broker
from dlmon.commands.consume import consume
from dlmon.config.settings import Settings
from dlmon.errors import ExitCode, RejectsReturned
from dlmon.event import id_from_body
from dlmon.messages import Message, Queue
from dlmon.rejects.headers import CODE, REJECTED_AT
from dlmon.runtime.stop import Stop
from dlmon.stores.base import Store
from dlmon.stores.sqlite import SqliteStore
from dlmon.validation.schema import load_schema
from dlmon.validation.validator import Validator
from tests.support.amqp import raw_channel
from tests.support.dlmon import Dlmon, url_of
from tests.support.events import make_body, make_entry
from tests.support.messages import in_queue
from tests.support.node import PrivateNode

INVALID = [make_body(file_size=-size) for size in range(1, 6)]


@pytest.fixture
def broker(private_settings: Settings) -> Iterator[Broker]:
    with open_broker(private_settings) as broker:
        yield broker


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with SqliteStore(tmp_path / "events.db") as store:
        yield store


@pytest.fixture
def set_policy(
    private_node: PrivateNode, private_settings: Settings
) -> Iterator[Callable[..., None]]:
    """Sets a policy for the rejects queue."""
    name = private_settings.namespace

    def set_policy(**definition: object) -> None:
        queue = rf"^{name}\.rejects$"
        private_node.ctl("set_policy", name, queue, json.dumps(definition), "--apply-to", "queues")

    yield set_policy
    private_node.ctl("clear_policy", name)


def publish(broker: Broker, *bodies: bytes, **headers: object) -> None:
    messages = [Message(body, id_from_body(body), headers) for body in bodies]  # type: ignore[arg-type]
    broker.publish(Queue.ARRIVALS, [messages])


def bind(settings: Settings, key: str) -> None:
    """Bind arrivals as an operator would who wants all of them there."""
    with raw_channel(url_of(settings)) as channel:
        channel.queue_bind(f"{settings.namespace}.arrivals", settings.namespace, key)


def unbind(settings: Settings, key: str) -> None:
    with raw_channel(url_of(settings)) as channel:
        channel.queue_unbind(f"{settings.namespace}.arrivals", settings.namespace, key)


def parked(broker: Broker) -> Counter[bytes]:
    return Counter(delivery.body for delivery in in_queue(broker, Queue.REJECTS))


@pytest.mark.parametrize("key", ["download.#", "download.*", "#", "download.rejected"])
def test_a_binding_that_routes_rejects_to_arrivals_is_told_and_stops_the_consumer(
    broker: Broker, store: Store, private_settings: Settings, key: str
) -> None:
    bind(private_settings, key)
    valid = make_body()
    publish(broker, *INVALID, valid)
    with pytest.raises(RejectsReturned, match=r"A binding routes download\.rejected"):
        consume(broker, store, Validator(load_schema()), Stop())
    assert parked(broker) == Counter(INVALID)
    assert len(store.write([make_entry(valid)]).duplicates) == 1
    # Once the binding is gone, what it had moved is parked a second time, and it goes on.
    unbind(private_settings, key)
    totals = consume(broker, store, Validator(load_schema()), Stop(), until_empty=True).totals
    assert totals.rejected.count == 5
    assert parked(broker) == Counter(INVALID * 2)


@pytest.mark.parametrize("key", ["download.completed", ""])
def test_a_policy_that_dead_letters_rejects_to_arrivals_is_told_and_stops_the_consumer(
    broker: Broker,
    store: Store,
    private_settings: Settings,
    set_policy: Callable[..., None],
    key: str,
) -> None:
    name = private_settings.namespace
    to_arrivals = {"dead-letter-exchange": name, "dead-letter-routing-key": key}
    if not key:
        to_arrivals["dead-letter-routing-key"] = f"{name}.arrivals"
    set_policy(**to_arrivals | {"message-ttl": 100, "dead-letter-exchange": name if key else ""})
    publish(broker, *INVALID)
    with pytest.raises(RejectsReturned, match=rf"dead-letters them from {name}\.rejects \(expired"):
        consume(broker, store, Validator(load_schema()), Stop())


def test_the_command_ends_with_the_brokers_exit_code_and_the_valid_events_are_stored(
    private_settings: Settings, broker: Broker, tmp_path: Path
) -> None:
    bind(private_settings, "download.#")
    valid = [make_body() for _ in range(20)]
    publish(broker, *INVALID, *valid)
    done = Dlmon(private_settings, tmp_path)("consume", "--store", "sqlite:///events.db")
    assert done.returncode == ExitCode.BROKER
    assert "Rejects come back to arrivals" in done.stderr
    assert "Traceback" not in done.stderr
    with SqliteStore(tmp_path / "events.db") as store:
        ids = [json.loads(body)["event_id"] for body in valid]
        assert store.known(ids) == set(ids)
    assert parked(broker) == Counter(INVALID)


def test_workers_are_stopped_too(
    private_settings: Settings, broker: Broker, tmp_path: Path
) -> None:
    bind(private_settings, "download.#")
    publish(broker, *INVALID)
    dlmon = Dlmon(private_settings, tmp_path)
    done = dlmon("consume", "--workers", "2", "--store", "sqlite:///events.db")
    assert done.returncode == ExitCode.BROKER
    assert "Rejects come back to arrivals" in done.stderr
    assert parked(broker).total() < 100


def test_what_an_operator_moves_back_by_hand_is_stored_or_parked_again(
    broker: Broker, store: Store, private_settings: Settings
) -> None:
    mended = make_body()
    validator = Validator(load_schema())
    for _ in range(2):
        publish(broker, mended, *INVALID, **{CODE: "minimum", REJECTED_AT: 1_700_000_000_000})
        consume(broker, store, validator, Stop(), until_empty=True)
    assert parked(broker) == Counter(INVALID * 2)


def test_headers_of_a_rejection_that_somebody_forges_stop_nobody(
    broker: Broker, store: Store
) -> None:
    forged = {CODE: "minimum", REJECTED_AT: time.time_ns() // 1_000_000}
    for odd in (forged, {**forged, REJECTED_AT: "soon"}, {**forged, REJECTED_AT: True}):
        publish(broker, *INVALID * 5, **odd)
    consume(broker, store, Validator(load_schema()), Stop(), until_empty=True)
    assert parked(broker) == Counter(INVALID * 15)
