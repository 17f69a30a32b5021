"""One RabbitMQ that is reached by two addresses: `forward` must not feed itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dlmon.brokers import feeds_itself, open_broker
from dlmon.config.settings import Settings
from dlmon.messages import Queue
from dlmon.runtime.stop import Stop
from tests.conftest import settings_for
from tests.support.dlmon import Dlmon, url_of
from tests.support.messages import ids, in_queue, make_messages
from tests.support.node import PrivateNode
from tests.support.proxy import Proxy


@pytest.fixture
def other_address(private_node: PrivateNode) -> Iterator[str]:
    """The same node on another port."""
    with Proxy(private_node.port) as proxy:
        yield private_node.url.replace(str(private_node.port), str(proxy.port))


@pytest.mark.parametrize(
    "there",
    [
        (),
        # Declared and bound, so that it gets what the target publishes.
        ("--from-arrivals", "{}.more"),
    ],
)
def test_forward_refuses_to_feed_itself_and_moves_nothing(
    private_settings: Settings, other_address: str, tmp_path: Path, there: tuple[str, ...]
) -> None:
    messages = make_messages(5)
    with open_broker(private_settings) as broker:
        broker.publish(Queue.ARRIVALS, [messages])
        named = [word.format(private_settings.namespace) for word in there]
        done = Dlmon(private_settings, tmp_path)(
            "forward", "--from", other_address, *named, "--until-empty"
        )
        assert done.returncode == 2
        last = done.stderr.splitlines()[-1]
        assert last.startswith("dlmon: --from and --to are the same queue")
        assert ids(in_queue(broker, Queue.ARRIVALS)) == ids(messages)


def test_another_queue_of_the_same_broker_is_forwarded_to(
    private_settings: Settings, other_address: str, tmp_path: Path
) -> None:
    there = settings_for(other_address, f"{private_settings.namespace}-van", tmp_path)
    with open_broker(there) as source:
        source.publish(Queue.ARRIVALS, [make_messages(5)])
    done = Dlmon(private_settings, tmp_path)(
        "forward", "--from", other_address, "--from-namespace", there.namespace, "--until-empty"
    )
    assert "5 sent, 5 confirmed" in done.stderr


@pytest.mark.parametrize("virtual_host", [None, "elsewhere"])
def test_it_is_told_without_permission_to_create_a_queue(
    private_node: PrivateNode,
    private_settings: Settings,
    other_address: str,
    tmp_path: Path,
    virtual_host: str | None,
) -> None:
    with open_broker(private_settings):
        pass
    user = f"agent-{virtual_host}"
    private_node.add_user(user, "secret", "^$", ".*", ".*")
    source = url_of(private_settings).replace("guest:guest", f"{user}:secret")
    target = other_address.replace("guest:guest", f"{user}:secret")
    if virtual_host is not None:
        private_node.ctl("add_vhost", virtual_host)
        for name, *permissions in (("guest", ".*", ".*", ".*"), (user, "^$", ".*", ".*")):
            private_node.ctl("set_permissions", "-p", virtual_host, name, *permissions)
        target += virtual_host
        elsewhere = f"{other_address}{virtual_host}"
        with open_broker(settings_for(elsewhere, private_settings.namespace, tmp_path)):
            pass
    namespace = private_settings.namespace
    one, other = (
        settings_for(url, namespace, tmp_path, declare="false") for url in (source, target)
    )
    assert feeds_itself(one, other, Stop()) == (virtual_host is None)
    assert feeds_itself(other, one, Stop()) == (virtual_host is None)


def test_nodes_of_their_own_are_not_the_same(
    private_settings: Settings, rabbitmq_settings: Settings, tmp_path: Path
) -> None:
    there = settings_for(url_of(rabbitmq_settings), private_settings.namespace, tmp_path)
    assert not feeds_itself(private_settings, there, Stop())
    assert feeds_itself(there, there, Stop())
