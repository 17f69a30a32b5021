"""What RabbitMQ refuses for a while: said in its own words, and waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dlmon.brokers import open_broker
from dlmon.config.settings import Settings
from dlmon.errors import BrokerRefused, BrokerUnreachable
from tests.conftest import settings_for
from tests.support.dlmon import Dlmon
from tests.support.node import PrivateNode

Refusal = tuple[Callable[[PrivateNode, str], None], Callable[[PrivateNode, str], None], str]


def _limit_user(node: PrivateNode, user: str) -> None:
    node.ctl("set_user_limits", user, '{"max-connections": 0}')


def _limit_channels(node: PrivateNode, user: str) -> None:
    node.ctl("set_user_limits", user, '{"max-channels": 0}')


def _lift_user_limits(node: PrivateNode, user: str) -> None:
    node.ctl("clear_user_limits", user, "all")


def _limit_virtual_host(node: PrivateNode, user: str) -> None:
    node.ctl("set_vhost_limits", "-p", user, '{"max-connections": 0}')


def _lift_virtual_host_limits(node: PrivateNode, user: str) -> None:
    node.ctl("clear_vhost_limits", "-p", user)


def _stop_virtual_host(node: PrivateNode, user: str) -> None:
    node.ctl("eval", f'rabbit_vhost_sup_sup:stop_and_delete_vhost(<<"{user}">>).')


def _start_virtual_host(node: PrivateNode, user: str) -> None:
    node.ctl("restart_vhost", "-p", user)


REFUSALS: dict[str, Refusal] = {
    "user's connections": (_limit_user, _lift_user_limits, "user connection limit (0) is reached"),
    "user's channels": (_limit_channels, _lift_user_limits, "user limit of (0)"),
    "virtual host's connections": (
        _limit_virtual_host,
        _lift_virtual_host_limits,
        "connection limit (0) is reached",
    ),
    "virtual host down": (_stop_virtual_host, _start_virtual_host, "is down"),
}


@pytest.fixture
def there(private_node: PrivateNode, namespace: str, tmp_path: Path) -> Iterator[Settings]:
    """A user and a virtual host of the test's own, both with the name of its namespace."""
    private_node.ctl("add_vhost", namespace)
    private_node.ctl("add_user", namespace, "secret")
    private_node.ctl("set_permissions", "-p", namespace, namespace, ".*", ".*", ".*")
    url = f"amqp://{namespace}:secret@127.0.0.1:{private_node.port}/{namespace}"
    yield settings_for(url, namespace, tmp_path)
    private_node.ctl("delete_user", namespace)
    private_node.ctl("delete_vhost", namespace)


@pytest.mark.slow
@pytest.mark.parametrize("name", REFUSALS)
def test_it_is_said_in_the_brokers_own_words_and_waited_for(
    private_node: PrivateNode, there: Settings, tmp_path: Path, name: str
) -> None:
    refuse, lift, words = REFUSALS[name]
    refuse(private_node, there.namespace)
    with pytest.raises(BrokerUnreachable) as caught:
        open_broker(there)
    assert words in str(caught.value)
    assert "check that it exists" not in str(caught.value)
    waiting = settings_for(_url(there), there.namespace, tmp_path, wait=30)
    lifting = threading.Timer(1.0, lift, (private_node, there.namespace))
    lifting.start()
    started = time.monotonic()
    with open_broker(waiting):
        assert time.monotonic() - started > 1.0
    lifting.join()


def test_a_virtual_host_that_does_not_exist_is_not_waited_for_and_said_in_its_words(
    private_node: PrivateNode, there: Settings, tmp_path: Path
) -> None:
    nowhere = settings_for(f"{_url(there)}-not", there.namespace, tmp_path, wait=30)
    started = time.monotonic()
    with pytest.raises(BrokerRefused, match=r"vhost .*-not not found.*check that it exists"):
        open_broker(nowhere)
    private_node.ctl("clear_permissions", "-p", there.namespace, there.namespace)
    with pytest.raises(BrokerRefused, match=r"access to vhost .* refused for user"):
        open_broker(settings_for(_url(there), there.namespace, tmp_path, wait=30))
    assert time.monotonic() - started < 28


def test_a_command_names_the_limit_and_exits_with_3(
    private_node: PrivateNode, there: Settings, tmp_path: Path
) -> None:
    _limit_user(private_node, there.namespace)
    done = Dlmon(there, tmp_path)("status")
    assert done.returncode == 3
    assert "user connection limit (0) is reached). Wait for it with --wait" in done.stderr


def _url(settings: Settings) -> str:
    return str(settings.broker).replace("***", "secret")
