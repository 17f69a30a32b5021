"""Policies of RabbitMQ that were meant for other queues."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from dlmon.brokers import open_broker
from dlmon.brokers.base import Broker, Check
from dlmon.brokers.rabbitmq.management import QueueDetails
from dlmon.brokers.rabbitmq.policies import effects
from dlmon.commands.doctor import diagnose
from dlmon.config.settings import Settings
from dlmon.errors import PublishRefused
from dlmon.messages import Message, Queue
from dlmon.runtime.stop import Stop
from tests.conftest import settings_for
from tests.support.messages import ids, in_queue, make_messages, wait_until
from tests.support.node import PrivateNode


@contextmanager
def policy(
    node: PrivateNode, pattern: str, *, operator: bool = False, **keys: Any
) -> Iterator[None]:
    kind = "operator_policy" if operator else "policy"
    definition = json.dumps({key.replace("_", "-"): value for key, value in keys.items()})
    node.ctl(f"set_{kind}", "--apply-to", "queues", "for-others", pattern, definition)
    yield
    node.ctl(f"clear_{kind}", "for-others")


def publish_one_by_one(
    broker: Broker, queue: Queue, messages: list[Message], confirmed: list[Message]
) -> None:
    for message in messages:
        broker.publish(queue, [[message]], confirmed=confirmed.extend)


@pytest.mark.slow
@pytest.mark.parametrize("operator", [False, True])
@pytest.mark.parametrize("keys", [{"max_length": 50}, {"max_length_bytes": 1_000}], ids=str)
def test_a_queue_that_may_have_so_many_refuses_more_and_drops_none(
    private_node: PrivateNode, private_settings: Settings, operator: bool, keys: dict[str, int]
) -> None:
    published = make_messages(120)
    confirmed: list[Message] = []
    with (
        open_broker(private_settings) as broker,
        policy(private_node, f"^{private_settings.namespace}", operator=operator, **keys),
    ):
        for queue in Queue:
            confirmed.clear()
            with pytest.raises(PublishRefused, match="length limit") as caught:
                publish_one_by_one(broker, queue, published, confirmed)
            assert 0 < len(confirmed) < 120
            assert ids(in_queue(broker, queue)) == ids(confirmed)
            assert len(caught.value.messages) == 1


@pytest.mark.slow
def test_doctor_shows_what_the_policies_that_apply_do(
    managed_node: tuple[PrivateNode, str], namespace: str, tmp_path: Any
) -> None:
    node, url = managed_node
    settings = settings_for(node.url, namespace, tmp_path, management=url)
    with open_broker(settings):
        pass

    def found() -> dict[str, Check]:
        checks = diagnose(settings, Stop())
        return {check.name: check for check in checks if check.name.startswith("policies")}

    assert {check.text for check in found().values()} == {"none"}
    with policy(node, ".*", max_length=50), policy(node, ".*", operator=True, message_ttl=60_000):
        names = {f"policies of {namespace}.{queue}" for queue in Queue}
        # The management plugin learns of policies every five seconds.
        wait_until(lambda: all(check.error for check in found().values()))
        checks = found()
        assert set(checks) == names
        for check in checks.values():
            assert check.text.startswith("for-others and for-others: max-length: more than 50")
            assert "message-ttl: messages that wait for 60000 ms" in check.text
            assert "--priority 1000" in check.text
    node.add_user("stranger", "secret", ".*", ".*", ".*")
    stranger = settings_for(
        node.url.replace("guest:guest", "stranger:secret"), namespace, tmp_path, management=url
    )
    refused = [check for check in diagnose(stranger, Stop()) if check.name.startswith("policies")]
    assert [(check.known, check.error) for check in refused] == [(False, None)] * 2
    assert "needs the tag monitoring" in refused[0].text


def details(effective: dict[str, Any], **arguments: Any) -> QueueDetails:
    named = {f"x-{key}": value for key, value in arguments.items()}
    return QueueDetails("quorum", named, ("a policy",), effective)


@pytest.mark.parametrize(
    ("queue", "effective", "overflow", "loses"),
    [
        (Queue.REJECTS, {"max-length": 5}, "reject-publish", [False]),
        (Queue.REJECTS, {"max-length": 5}, None, [True]),
        (Queue.REJECTS, {"max-length-bytes": 5, "overflow": "reject-publish"}, None, [False]),
        (Queue.ARRIVALS, {"message-ttl": 5}, "reject-publish", [True]),
        (Queue.REJECTS, {"expires": 5}, "reject-publish", [True]),
        (Queue.REJECTS, {"delivery-limit": 5}, "reject-publish", [True]),
        (Queue.REJECTS, {"delivery-limit": -1}, "reject-publish", [False]),
        (Queue.ARRIVALS, {"delivery-limit": 5}, "reject-publish", [False]),
        (Queue.ARRIVALS, {"delivery-limit": 50}, "reject-publish", []),
        (Queue.REJECTS, {"dead-letter-exchange": "x"}, "reject-publish", [False]),
        (Queue.REJECTS, {"ha-mode": "all", "queue-mode": "lazy"}, "reject-publish", []),
    ],
)
def test_what_a_policy_does(
    queue: Queue, effective: dict[str, Any], overflow: str | None, loses: list[bool]
) -> None:
    arguments = {} if overflow is None else {"overflow": overflow}
    found = effects(queue, details(effective, **arguments))
    assert [effect.loses for effect in found] == loses
