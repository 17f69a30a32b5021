"""What is declared on RabbitMQ, and what is said where something else is there already."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from dlmon.brokers import open_broker
from dlmon.config.settings import Settings
from dlmon.messages import Queue
from tests.support.amqp import raw_channel
from tests.support.dlmon import Dlmon
from tests.support.messages import make_messages
from tests.support.node import PrivateNode

COMMANDS = [["consume", "--until-empty"], ["produce", "--count", "1"], ["inspect-rejects"]]


def listed(node: PrivateNode, namespace: str, *what: str) -> dict[str, dict[str, Any]]:
    """What `rabbitmqctl list_...` says of a namespace, by the first of the columns."""
    rows = json.loads(node.ctl(*what, "--formatter=json"))
    key = what[1]
    return {row[key]: row for row in rows if row[key].startswith(namespace)}


def test_exchange_queues_and_bindings_are_those_of_the_design(
    private_node: PrivateNode, private_settings: Settings
) -> None:
    namespace = private_settings.namespace
    with open_broker(private_settings):
        pass
    exchanges = listed(private_node, namespace, "list_exchanges", "name", "type", "durable")
    assert exchanges == {namespace: {"name": namespace, "type": "topic", "durable": True}}
    queues = listed(private_node, namespace, "list_queues", "name", "durable", "arguments")
    assert {row["durable"] for row in queues.values()} == {True}
    arguments = {
        name: {argument: value for argument, _type, value in row["arguments"]}
        if isinstance(row["arguments"], list)
        else row["arguments"]
        for name, row in queues.items()
    }
    assert arguments == {
        f"{namespace}.arrivals": {
            "x-queue-type": "quorum",
            "x-delivery-limit": 20,
            "x-dead-letter-exchange": namespace,
            "x-dead-letter-routing-key": "download.rejected",
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        },
        f"{namespace}.rejects": {
            "x-queue-type": "quorum",
            "x-delivery-limit": 2147483647,
            "x-overflow": "reject-publish",
        },
    }
    bindings = listed(
        private_node, namespace, "list_bindings", "destination_name", "source_name", "routing_key"
    )
    assert {
        (row["source_name"], row["destination_name"], row["routing_key"])
        for row in bindings.values()
    } == {
        (namespace, f"{namespace}.arrivals", "download.completed"),
        (namespace, f"{namespace}.rejects", "download.rejected"),
    }


def test_connections_tell_who_they_are(
    private_node: PrivateNode, private_settings: Settings
) -> None:
    with open_broker(private_settings) as broker:
        broker.publish(Queue.ARRIVALS, [make_messages(1)])
        listed = private_node.ctl("list_connections", "client_properties")
    assert " consuming" in listed
    assert " publishing" in listed
    assert "dlmon" in listed


def _classic_queue(channel: Any, namespace: str) -> None:
    channel.queue_declare(f"{namespace}.arrivals", durable=True)


def _other_delivery_limit(channel: Any, namespace: str) -> None:
    arguments = {"x-queue-type": "quorum", "x-delivery-limit": 5}
    channel.queue_declare(f"{namespace}.rejects", durable=True, arguments=arguments)


def _other_exchange(channel: Any, namespace: str) -> None:
    channel.exchange_declare(namespace, "direct", durable=True)


@pytest.mark.parametrize("predeclare", [_classic_queue, _other_delivery_limit, _other_exchange])
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_what_was_declared_in_another_way_is_explained(
    rabbitmq_settings: Settings,
    rabbitmq_url: str,
    dlmon: Dlmon,
    predeclare: Callable[[Any, str], None],
    command: list[str],
) -> None:
    with raw_channel(rabbitmq_url) as channel:
        predeclare(channel, rabbitmq_settings.namespace)
    result = dlmon(*command, "--wait", "30")
    assert (result.returncode, result.stdout) == (3, "")
    [line] = [line for line in result.stderr.splitlines() if line.startswith("dlmon: ")]
    assert "was declared in another way" in line
    assert f"'{rabbitmq_settings.namespace}" in line
    assert "--no-declare" in line
    assert "Traceback" not in result.stderr


def test_without_declaring_any_queues_that_work_are_used(
    rabbitmq_settings: Settings, rabbitmq_url: str, dlmon: Dlmon
) -> None:
    namespace = rabbitmq_settings.namespace
    with raw_channel(rabbitmq_url) as channel:
        channel.exchange_declare(namespace, "topic", durable=True)
        for queue, key in (("arrivals", "download.completed"), ("rejects", "download.rejected")):
            channel.queue_declare(f"{namespace}.{queue}", durable=True)
            channel.queue_bind(f"{namespace}.{queue}", namespace, key)
    produced = dlmon("produce", "--no-declare", "--count", "10", "--rate", "0", "--invalid", "0.5")
    assert produced.returncode == 0, produced.stderr
    consumed = dlmon("consume", "--no-declare", "--until-empty", "--store", "ndjson:events")
    assert consumed.returncode == 0, consumed.stderr
    assert "10 received" in consumed.stderr


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_without_declaring_what_is_missing_is_named(
    rabbitmq_settings: Settings, dlmon: Dlmon, command: list[str]
) -> None:
    result = dlmon(*command, "--no-declare")
    assert (result.returncode, result.stdout) == (3, "")
    [line] = [line for line in result.stderr.splitlines() if line.startswith("dlmon: ")]
    assert f"no queue '{rabbitmq_settings.namespace}.arrivals'" in line
    assert "leave out --no-declare" in line
