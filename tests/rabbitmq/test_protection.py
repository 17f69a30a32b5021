"""What `doctor` says of a queue that somebody else declared, on a node that shows it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dlmon.brokers.base import Check
from dlmon.brokers.rabbitmq.management import QueueDetails, read_queue
from dlmon.brokers.rabbitmq.protection import weaknesses
from dlmon.commands.doctor import diagnose
from dlmon.config.settings import Settings
from dlmon.config.urls import RabbitMQAddress
from dlmon.messages import Queue
from dlmon.runtime.stop import Stop
from tests.conftest import settings_for
from tests.support.amqp import raw_channel
from tests.support.messages import wait_until
from tests.support.node import PrivateNode

pytestmark = pytest.mark.slow

ONE_NODE = "it is on one node, and counts no deliveries"
NOT_DURABLE = "it is not durable"
AUTO_DELETE = "it is deleted once nothing consumes from it"
NO_DEAD_LETTERING = "no dead-lettering"
AT_MOST_ONCE = "dead-lettering is at-most-once"
DEFAULT_LIMIT = "no x-delivery-limit"

DEAD_LETTERING = {"x-dead-letter-exchange": "amq.direct"}
AT_LEAST_ONCE = {
    **DEAD_LETTERING,
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",
}


@contextmanager
def declared(node: PrivateNode, name: str, **declaration: Any) -> Iterator[None]:
    with raw_channel(node.url) as channel:
        channel.queue_declare(name, **declaration)
        yield
        channel.queue_delete(name)


def details(managed_node: tuple[PrivateNode, str], name: str) -> QueueDetails:
    node, url = managed_node
    address = Settings.for_url(node.url).broker
    assert isinstance(address, RabbitMQAddress)
    return read_queue(url, address, name)


@pytest.mark.parametrize(
    ("queue", "kind", "declaration", "expected"),
    [
        (Queue.ARRIVALS, "classic", {}, [ONE_NODE, NOT_DURABLE, NO_DEAD_LETTERING]),
        (
            Queue.ARRIVALS,
            "classic",
            {"durable": True, "auto_delete": True},
            [ONE_NODE, AUTO_DELETE, NO_DEAD_LETTERING],
        ),
        (Queue.ARRIVALS, "classic", {"durable": True, **DEAD_LETTERING}, [ONE_NODE]),
        (Queue.ARRIVALS, "quorum", {}, [NO_DEAD_LETTERING]),
        (Queue.ARRIVALS, "quorum", DEAD_LETTERING, [AT_MOST_ONCE]),
        (Queue.ARRIVALS, "quorum", AT_LEAST_ONCE, []),
        (
            Queue.ARRIVALS,
            "quorum",
            {**AT_LEAST_ONCE, "x-message-ttl": 60_000},
            ["message-ttl: messages that wait for 60000 ms go to rejects"],
        ),
        (
            Queue.ARRIVALS,
            "quorum",
            {**DEAD_LETTERING, "x-max-length": 50},
            [AT_MOST_ONCE, "max-length: the oldest of more than 50 messages are dropped"],
        ),
        (
            Queue.ARRIVALS,
            "stream",
            {"durable": True},
            ["no x-max-age and no x-max-length-bytes: it grows"],
        ),
        (Queue.ARRIVALS, "stream", {"durable": True, "x-max-age": "7D"}, []),
        (Queue.REJECTS, "classic", {"durable": True}, [ONE_NODE]),
        (Queue.REJECTS, "quorum", {}, [DEFAULT_LIMIT]),
        (Queue.REJECTS, "quorum", {"x-delivery-limit": 2**31 - 1}, []),
        (
            Queue.REJECTS,
            "quorum",
            {"x-delivery-limit": 5},
            ["delivery-limit: a message goes at delivery 6, and each look is one"],
        ),
        (
            Queue.REJECTS,
            "quorum",
            {"x-delivery-limit": 2**31 - 1, "x-expires": 60_000, "x-message-ttl": 50_000},
            [
                "message-ttl: messages that wait for 50000 ms are dropped",
                "expires: the queue is deleted when it is not used for 60000 ms",
            ],
        ),
    ],
    ids=str,
)
def test_what_a_queue_was_declared_with_is_judged(
    managed_node: tuple[PrivateNode, str],
    namespace: str,
    queue: Queue,
    kind: str,
    declaration: dict[str, Any],
    expected: list[str],
) -> None:
    arguments = {key: value for key, value in declaration.items() if key.startswith("x-")}
    options = {key: value for key, value in declaration.items() if key not in arguments}
    options |= {"durable": True} if kind == "quorum" else {}
    arguments["x-queue-type"] = kind
    with declared(managed_node[0], namespace, arguments=arguments, **options):
        found = weaknesses(queue, details(managed_node, namespace))
    assert len(found) == len(expected), found
    for text, start in zip(found, expected, strict=True):
        assert start in text


def test_what_a_policy_gives_a_queue_is_not_missing(
    managed_node: tuple[PrivateNode, str], namespace: str
) -> None:
    node, _ = managed_node
    quorum = {"x-queue-type": "quorum"}
    with declared(node, namespace, durable=True, arguments=quorum):
        node.ctl(
            "set_policy",
            "protecting",
            f"^{namespace}$",
            '{"dead-letter-exchange":"amq.direct","dead-letter-strategy":"at-least-once",'
            '"delivery-limit":2000000}',
        )
        try:
            # The management plugin learns of policies every five seconds.
            wait_until(lambda: "protecting" in details(managed_node, namespace).policies)
            found = details(managed_node, namespace)
        finally:
            node.ctl("clear_policy", "protecting")
    assert [weaknesses(queue, found) for queue in Queue] == [[], []]
    unprotected = replace(found, effective={})
    assert [len(weaknesses(queue, unprotected)) for queue in Queue] == [1, 1]


def test_doctor_tells_it_of_both_queues_and_goes_on(
    managed_node: tuple[PrivateNode, str], namespace: str, tmp_path: Path
) -> None:
    node, url = managed_node
    arrivals, rejects = f"{namespace}-arrivals", f"{namespace}-rejects"
    settings = settings_for(
        node.url,
        namespace,
        tmp_path,
        management=url,
        exchange="",
        arrivals=arrivals,
        rejects=rejects,
        declare="false",
    )
    quorum = {"x-queue-type": "quorum", "x-delivery-limit": 2**31 - 1}
    with declared(node, arrivals), declared(node, rejects, durable=True, arguments=quorum):
        checks = {check.name: check for check in diagnose(settings, Stop())}
    of_arrivals = checks[f"protection of {arrivals}"]
    assert of_arrivals.warning
    assert of_arrivals.error is None
    assert of_arrivals.text.startswith("a classic queue; ")
    assert NOT_DURABLE in of_arrivals.text
    of_rejects: Check = checks[f"protection of {rejects}"]
    assert of_rejects.text == "a quorum queue; nothing is missing"
    assert not of_rejects.warning
    assert not [check for check in checks.values() if check.error is not None]
