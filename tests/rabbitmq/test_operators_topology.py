"""Topology and permissions that an operator sees to, and dlmon keeps its hands off."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tests
from dlmon.brokers import open_broker
from dlmon.brokers.base import Broker
from dlmon.config.settings import Settings
from dlmon.errors import BrokerRefused, TopologyMismatch
from dlmon.messages import Queue
from dlmon.runtime.stop import Stop
from tests.conftest import settings_for
from tests.support.amqp import delete_namespace, raw_channel
from tests.support.documentation import REPOSITORY
from tests.support.messages import ids, in_queue, make_messages, receive
from tests.support.node import PrivateNode

DEFINITIONS = Path(tests.__file__).parent.parent / "examples" / "definitions.json"

# Configure, write and read of each role, as the documentation gives them.
PERMISSIONS = {
    role: permissions
    for role, *permissions in re.findall(
        r"set_permissions -p / (\w+) '(.*)' '(.*)' '(.*)'",
        (REPOSITORY / "docs" / "rabbitmq.md").read_text("utf-8"),
    )
}


@pytest.fixture
def imported(private_node: PrivateNode, tmp_path: Path) -> Iterator[PrivateNode]:
    """A node whose operator has loaded examples/definitions.json."""
    if not DEFINITIONS.exists():
        pytest.skip("examples/definitions.json is not beside these tests")
    private_node.ctl("import_definitions", str(DEFINITIONS))
    yield private_node
    private_node.ctl("clear_policy", "dlmon")
    delete_namespace(private_node.url, "dlmon")


@pytest.fixture
def log_in(imported: PrivateNode, tmp_path: Path) -> Iterator[Callable[..., Settings]]:
    """Makes a user of the node with the permissions of a role."""
    users = []

    def log_in(who: str, *, declare: bool = False) -> Settings:
        imported.add_user(who, "secret", *PERMISSIONS[who])
        users.append(who)
        url = f"amqp://{who}:secret@127.0.0.1:{imported.port}/"
        return settings_for(url, "dlmon", tmp_path, declare=declare)

    yield log_in
    for user in users:
        imported.ctl("delete_user", user)


def test_the_example_is_what_dlmon_declares(imported: PrivateNode, tmp_path: Path) -> None:
    settings = settings_for(imported.url, "dlmon", tmp_path)
    with open_broker(settings) as broker:  # which would be refused if an argument were another
        broker.publish(Queue.ARRIVALS, [make_messages(1)])
    [loaded, declared] = (export(imported, tmp_path) for _ in range(2))
    assert loaded == declared
    delete_namespace(imported.url, "dlmon")
    with open_broker(settings):
        assert export(imported, tmp_path) == loaded


def test_the_example_exempts_both_queues_from_policies_for_others(
    imported: PrivateNode, tmp_path: Path
) -> None:
    imported.ctl("set_policy", "--apply-to", "queues", "others", ".*", '{"max-length": 3}')
    try:
        with open_broker(settings_for(imported.url, "dlmon", tmp_path)) as broker:
            for queue in Queue:
                assert broker.publish(queue, [make_messages(20)]) == 20
    finally:
        imported.ctl("clear_policy", "others")


def export(node: PrivateNode, tmp_path: Path) -> dict[str, Any]:
    file = tmp_path / "exported.json"
    node.ctl("export_definitions", str(file))
    definitions = json.loads(file.read_text())
    return {
        kind: sorted(
            (one for one in definitions[kind] if "dlmon" in (one.get("source") or one["name"])[:5]),
            key=json.dumps,
        )
        for kind in ("exchanges", "queues", "bindings")
    }


def test_a_producer_needs_no_more_than_readme_gives(
    imported: PrivateNode, log_in: Callable[..., Settings], tmp_path: Path
) -> None:
    with open_broker(log_in("producer")) as broker:
        broker.publish(Queue.ARRIVALS, [make_messages(3)])
        assert refused(lambda: receive(broker.open_consumer(1), 1))
    with open_broker(settings_for(imported.url, "dlmon", tmp_path)) as broker:
        assert ids(in_queue(broker, Queue.ARRIVALS)) == ids(make_messages(3))


def test_a_consumer_needs_no_more_than_readme_gives(log_in: Callable[..., Settings]) -> None:
    with open_broker(log_in("consumer")) as broker:
        broker.publish(Queue.ARRIVALS, [make_messages(3)])
        with broker.open_consumer(10) as consumer:
            deliveries = receive(consumer, 3)
            broker.publish(Queue.REJECTS, [make_messages(1)])
            consumer.acknowledge(deliveries)
        assert refused(lambda: in_queue(broker, Queue.REJECTS))


def test_an_operator_needs_no_more_than_readme_gives(log_in: Callable[..., Settings]) -> None:
    with open_broker(log_in("operator")) as broker:
        broker.publish(Queue.REJECTS, [make_messages(3)])
        with broker.open_reader(Queue.REJECTS) as reader:
            deliveries = reader.read(10)
            broker.publish(Queue.ARRIVALS, [make_messages(1)])
            reader.acknowledge(deliveries)
        assert in_queue(broker, Queue.REJECTS) == []
        assert refused(lambda: receive(broker.open_consumer(1), 1))


def refused(attempt: Callable[[], object]) -> bool:
    with pytest.raises(BrokerRefused, match="refused a permission"):
        attempt()
    return True


def test_who_may_not_declare_is_told_so(log_in: Callable[..., Settings]) -> None:
    with pytest.raises(BrokerRefused, match=r"refused a permission.*--no-declare"):
        open_broker(log_in("producer", declare=True))


def test_without_declaring_a_missing_queue_is_named(
    rabbitmq_url: str, namespace: str, tmp_path: Path
) -> None:
    settings = settings_for(rabbitmq_url, namespace, tmp_path, declare=False)
    with pytest.raises(TopologyMismatch, match=rf"no queue '{namespace}\.arrivals'"):
        open_broker(settings)


def test_without_declaring_other_arguments_do(
    rabbitmq_settings: Settings, rabbitmq_url: str, namespace: str, tmp_path: Path
) -> None:
    with raw_channel(rabbitmq_url) as channel:
        channel.exchange_declare(namespace, "topic", durable=True)
        for queue, key in (("arrivals", "download.completed"), ("rejects", "download.rejected")):
            channel.queue_declare(f"{namespace}.{queue}", durable=True)  # a classic queue
            channel.queue_bind(f"{namespace}.{queue}", namespace, key)
    with pytest.raises(TopologyMismatch, match="declared in another way"):
        open_broker(rabbitmq_settings)
    settings = settings_for(rabbitmq_url, namespace, tmp_path, declare=False)
    with open_broker(settings, Stop()) as broker:
        assert exchanged(broker)


def exchanged(broker: Broker) -> bool:
    broker.publish(Queue.ARRIVALS, [make_messages(5)])
    with broker.open_consumer(10) as consumer:
        deliveries = receive(consumer, 5)
        consumer.acknowledge(deliveries)
    return ids(deliveries) == ids(make_messages(5))
