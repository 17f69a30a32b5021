"""Logins, virtual hosts and permissions that RabbitMQ refuses: said at once, tried only once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dlmon.brokers import open_broker
from dlmon.config.settings import Settings
from dlmon.errors import BrokerRefused
from dlmon.messages import Queue
from tests.conftest import settings_for
from tests.support.dlmon import Dlmon
from tests.support.node import PrivateNode

PASSWORD = "not to be shown"  # noqa: S105  (of a user who lives as long as a test)
COMMANDS = [
    ["consume"],
    ["produce"],
    ["inspect-rejects"],
    ["replay-rejects", "--yes"],
]


@pytest.fixture
def user(private_node: PrivateNode, namespace: str) -> Iterator[str]:
    """A user who may log in and do nothing."""
    private_node.add_user(namespace, PASSWORD, "^$", "^$", "^$")
    yield namespace
    private_node.ctl("delete_user", namespace)


def refused(settings: Settings, folder: Path, url: str, command: list[str]) -> str:
    """What a command that gave up at once has to say."""
    # Where it waited, this would take longer than the test does.
    result = Dlmon(settings, folder)(*command, "--broker", url, "--wait", "600")
    assert (result.returncode, result.stdout) == (3, "")
    [line] = [line for line in result.stderr.splitlines() if line.startswith("dlmon: ")]
    assert "Connecting again" not in result.stderr
    assert PASSWORD not in result.stderr
    return line


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_wrong_password(
    private_node: PrivateNode, private_settings: Settings, tmp_path: Path, command: list[str]
) -> None:
    url = private_node.url.replace("guest:guest", f"guest:{PASSWORD.replace(' ', '%20')}")
    line = refused(private_settings, tmp_path, url, command)
    assert "refused the login: check user and password" in line


@pytest.mark.parametrize("login", ["guest@", "guest:@", "somebody@"])
def test_a_login_without_any_password(
    private_node: PrivateNode, private_settings: Settings, tmp_path: Path, login: str
) -> None:
    url = private_node.url.replace("guest:guest@", login)
    line = refused(private_settings, tmp_path, url, ["status"])
    user = login.rstrip(":@")
    assert f"refused the login: no password is configured for '{user}'." in line
    assert "DLMON_BROKER_PASSWORD" in line


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_virtual_host_that_does_not_exist(
    private_node: PrivateNode, private_settings: Settings, tmp_path: Path, command: list[str]
) -> None:
    line = refused(private_settings, tmp_path, f"{private_node.url}nowhere", command)
    assert "'nowhere'" in line
    assert "check that it exists" in line


def test_a_virtual_host_that_is_somebody_elses(
    private_node: PrivateNode, private_settings: Settings, tmp_path: Path, user: str
) -> None:
    private_node.ctl("clear_permissions", user)
    url = private_node.url.replace("guest:guest", f"{user}:{PASSWORD.replace(' ', '%20')}")
    line = refused(private_settings, tmp_path, url, ["consume"])
    assert f"does not let '{user}' into the virtual host '/'" in line


@pytest.mark.parametrize(
    ("permissions", "command", "words"),
    [
        (["^$", ".*", ".*"], ["consume"], "exchange"),
        ([".*", "^$", ".*"], ["produce", "--count", "1"], "exchange"),
        ([".*", ".*", "^$"], ["consume"], "queue"),
        ([".*", ".*", "^dlmon-test-[0-9a-f]+$"], ["consume"], "arrivals"),
    ],
    ids=["configure", "write", "read", "read arrivals"],
)
def test_a_permission_that_is_missing(
    private_node: PrivateNode,
    private_settings: Settings,
    tmp_path: Path,
    user: str,
    permissions: list[str],
    command: list[str],
    words: str,
) -> None:
    private_node.ctl("set_permissions", user, *permissions)
    url = private_node.url.replace("guest:guest", f"{user}:{PASSWORD.replace(' ', '%20')}")
    line = refused(private_settings, tmp_path, url, command)
    assert "refused a permission (ACCESS_REFUSED" in line
    assert words in line


@pytest.mark.parametrize(
    ("permissions", "command"),
    [(["^$", ".*", "^$"], ["produce", "--count", "1"]), (["^$", "^$", ".*"], ["consume"])],
    ids=["write", "read"],
)
def test_without_declaring_one_permission_is_enough(
    private_node: PrivateNode,
    private_settings: Settings,
    tmp_path: Path,
    user: str,
    permissions: list[str],
    command: list[str],
) -> None:
    declare = settings_for(private_node.url, private_settings.namespace, tmp_path)
    assert Dlmon(declare, tmp_path)("status").returncode == 0
    private_node.ctl("set_permissions", user, *permissions)
    url = private_node.url.replace("guest:guest", f"{user}:{PASSWORD.replace(' ', '%20')}")
    dlmon = Dlmon(private_settings, tmp_path)
    options = ["--until-empty"] if command == ["consume"] else []
    result = dlmon(*command, *options, "--no-declare", "--broker", url)
    assert result.returncode == 0, result.stderr


def test_a_tap_without_the_right_to_configure_is_refused_and_depths_are_known(
    private_node: PrivateNode, private_settings: Settings, tmp_path: Path, namespace: str
) -> None:
    with open_broker(private_settings):
        pass  # declares
    private_node.add_user(namespace, PASSWORD, "^$", ".*", ".*")
    try:
        url = private_node.url.replace("guest:guest", f"{namespace}:{PASSWORD.replace(' ', '%20')}")
        settings = replace(settings_for(url, namespace, tmp_path), declare=False)
        with open_broker(settings) as broker:
            with pytest.raises(BrokerRefused, match=r"rejects\.tap"):
                broker.open_tap()
            assert broker.depth(Queue.REJECTS).ready == 0
    finally:
        private_node.ctl("delete_user", namespace)
