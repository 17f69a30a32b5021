"""What `dlmon doctor` finds out about a RabbitMQ that is in trouble, or that an operator rules."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from dlmon.brokers import open_broker
from dlmon.brokers.rabbitmq.topology import older_queue_arguments
from dlmon.commands.doctor import diagnose
from dlmon.config.names import Names
from dlmon.config.settings import Settings
from dlmon.errors import ExitCode
from dlmon.messages import Queue
from dlmon.runtime.stop import Stop
from tests.conftest import settings_for
from tests.support.alarms import disk_alarm, memory_alarm
from tests.support.amqp import raw_channel
from tests.support.dlmon import Dlmon
from tests.support.messages import make_messages
from tests.support.node import PrivateNode, free_port

PASSWORD = "secret"  # noqa: S105  (of a user who lives as long as a test)


@pytest.mark.slow
@pytest.mark.parametrize("alarm", [memory_alarm, disk_alarm])
def test_an_alarm_is_found_and_not_waited_for(
    private_node: PrivateNode,
    private_settings: Settings,
    tmp_path: Path,
    alarm: Callable[[PrivateNode], AbstractContextManager[None]],
) -> None:
    with open_broker(private_settings) as broker:
        broker.publish(Queue.ARRIVALS, [make_messages(3)])
        with alarm(private_node):
            done = Dlmon(private_settings, tmp_path)("doctor", "--json")
    assert done.returncode == ExitCode.BROKER
    steps = [json.loads(line) for line in done.stdout.splitlines()]
    [failed] = [step for step in steps if step["state"] == "failed"]
    assert "takes no messages now: an alarm is on" in failed["text"]
    assert any(step["name"].startswith("queue ") and step["state"] == "ok" for step in steps)


@pytest.fixture
def user(private_node: PrivateNode, namespace: str) -> Iterator[str]:
    private_node.add_user(namespace, PASSWORD, ".*", ".*", ".*")
    yield namespace
    private_node.ctl("delete_user", namespace)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pattern", "refused"),
    [
        (r"^download\.", []),
        (r"^dlmon\.doctor$", ["download.completed", "download.rejected"]),
        (r"^download\.completed$", ["download.rejected"]),
        (r"^download\.rejected$", ["download.completed"]),
    ],
)
def test_topic_permissions_are_tried_with_the_keys_that_are_used(
    private_node: PrivateNode,
    private_settings: Settings,
    tmp_path: Path,
    user: str,
    pattern: str,
    refused: list[str],
) -> None:
    with open_broker(private_settings):
        pass
    private_node.ctl("set_topic_permissions", user, user, pattern, ".*")
    url = private_node.url.replace("guest:guest", f"{user}:{PASSWORD}")
    checks = list(diagnose(settings_for(url, private_settings.namespace, tmp_path), Stop()))
    found = {check.name.split()[3]: check for check in checks if "to publish" in check.name}
    assert [key for key, check in found.items() if check.error is not None] == refused
    assert set(found) == {"download.completed", "download.rejected"}
    with open_broker(private_settings) as broker:  # it has published nothing
        assert [broker.depth(queue).ready for queue in Queue] == [0, 0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("permissions", "declare", "refused"),
    [
        ((".*", ".*", ".*"), True, set()),
        (("", ".*", ".*"), False, set()),
        ((".*", ".*", ""), False, {"read dlmon.arrivals", "read dlmon.rejects"}),
        ((".*", ".*", r"\.arrivals$"), False, {"read dlmon.rejects"}),
        ((".*", ".*", r"\."), True, {"bind dlmon.arrivals", "bind dlmon.rejects"}),
    ],
)
def test_permissions_are_tried_that_commands_need(
    private_node: PrivateNode,
    private_settings: Settings,
    tmp_path: Path,
    user: str,
    permissions: tuple[str, str, str],
    declare: bool,
    refused: set[str],
) -> None:
    with open_broker(private_settings) as broker:
        broker.publish(Queue.REJECTS, [make_messages(3)])
    private_node.ctl("set_permissions", user, *permissions)
    url = private_node.url.replace("guest:guest", f"{user}:{PASSWORD}")
    settings = settings_for(url, private_settings.namespace, tmp_path)
    checks = list(diagnose(replace(settings, declare=declare), Stop()))
    found = {
        check.name.removeprefix("permission to ").partition(" (")[0]: check
        for check in checks
        if check.name.startswith("permission to ")
    }
    namespace = private_settings.namespace
    without = {name.replace(namespace, "dlmon"): check for name, check in found.items()}
    assert {name for name, check in without.items() if check.error is not None} == refused
    with open_broker(private_settings) as broker, broker.open_reader(Queue.REJECTS) as reader:
        # It has taken none of them: each take is counted.
        assert [delivery.delivery_count for delivery in reader.read(5)] == [0] * 3


@pytest.fixture
def rejects_of_an_early_release(
    rabbitmq_settings: Settings, rabbitmq_url: str, namespace: str
) -> None:
    with raw_channel(rabbitmq_url) as channel:
        channel.queue_declare(
            f"{namespace}.rejects",
            durable=True,
            arguments=older_queue_arguments(Names(namespace), Queue.REJECTS),
        )


def test_a_queue_of_an_early_release_is_used_and_doctor_says_what_it_lacks(
    rejects_of_an_early_release: None, rabbitmq_settings: Settings
) -> None:
    with open_broker(rabbitmq_settings) as broker:
        assert broker.publish(Queue.REJECTS, [make_messages(3)]) == 3
        assert broker.publish(Queue.ARRIVALS, [make_messages(3)]) == 3
    name = f"{rabbitmq_settings.namespace}.rejects"
    [check] = [
        check
        for check in diagnose(rabbitmq_settings, Stop())
        if check.name == f"type, limits and dead-lettering of {name}"
    ]
    assert check.warning
    assert check.error is None
    assert "without x-overflow=reject-publish" in check.text
    assert f"rabbitmqctl set_policy --apply-to queues --priority 1000 {name[:-8]} " in check.text


def test_without_the_management_api_it_says_that_policies_cannot_be_seen(
    rabbitmq_settings: Settings, namespace: str, tmp_path: Path
) -> None:
    with open_broker(rabbitmq_settings):
        pass
    dlmon = Dlmon(rabbitmq_settings, tmp_path)
    done = dlmon("doctor", "--management", f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 0, done.stdout
    [line] = [
        line for line in done.stdout.splitlines() if f"policies of {namespace}.rejects" in line
    ]
    assert line.startswith("?")
    assert "AMQP cannot show them" in line
    assert "Connection refused" in line
    assert "message-ttl" in line
