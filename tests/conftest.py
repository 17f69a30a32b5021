"""Where the tests find RabbitMQ, and a namespace of its own for each test.

RabbitMQ is the one that DLMON_TEST_BROKER names, else a private node where rabbitmq-server is
installed, else the one at localhost:5672. Without any, the tests that need it are skipped, and with
CI=true they fail.
"""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import hypothesis
import pytest

from dlmon.config.settings import DEFAULT_BROKER, Settings, load_settings
from tests.support.amqp import delete_namespace, reachable
from tests.support.named import named_server
from tests.support.node import PrivateNode, installed

HOW_TO_GET_ONE = (
    "start one with `docker compose up -d rabbitmq`, install rabbitmq-server, "
    "or name one in DLMON_TEST_BROKER"
)

# What a test says must not depend on how busy the machine is. The rest is Hypothesis's own.
hypothesis.settings.register_profile("patient", hypothesis.settings(), deadline=None)
hypothesis.settings.load_profile("patient")


def pytest_configure() -> None:
    # A shell has what it starts in the background ignore Ctrl-C, and children inherit that: one
    # that comes before they have begun to listen would be lost.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # A test that takes such a fixture needs such a server: nobody has to remember the mark.
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if "rabbitmq_url" in fixtures:
            item.add_marker(pytest.mark.rabbitmq)
        if "rabbitmq_server" in fixtures:
            item.add_marker(pytest.mark.private_node)


@pytest.fixture(scope="session")
def rabbitmq_server() -> None:
    """The server is installed: a test can have nodes of its own."""
    if installed() is None:
        unavailable("rabbitmq-server is not installed, and this test needs a node of its own")


@pytest.fixture(scope="session")
def _session_node(
    rabbitmq_server: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PrivateNode]:
    node = PrivateNode(tmp_path_factory.mktemp("rabbitmq"))
    node.start()
    yield node
    node.kill()


@pytest.fixture(scope="session")
def rabbitmq_url(request: pytest.FixtureRequest) -> str:
    """A RabbitMQ that works, and that no test may break."""
    if named := named_server("DLMON_TEST_BROKER"):
        if not reachable(named):
            pytest.fail("no RabbitMQ answers at DLMON_TEST_BROKER, or it refuses the login")
        return named
    if installed() is not None:
        node: PrivateNode = request.getfixturevalue("_session_node")
        return node.url
    if not reachable(DEFAULT_BROKER):
        unavailable(f"no RabbitMQ answers at localhost:5672; {HOW_TO_GET_ONE}")
    return DEFAULT_BROKER


@pytest.fixture
def private_node(_session_node: PrivateNode) -> Iterator[PrivateNode]:
    """A node that the test may stop, kill or freeze; it is made to work again afterwards."""
    yield _session_node
    _session_node.start()


@pytest.fixture
def namespace() -> str:
    """A name that no other test has."""
    return f"dlmon-test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def rabbitmq_settings(rabbitmq_url: str, namespace: str, tmp_path: Path) -> Iterator[Settings]:
    """Settings for RabbitMQ; exchange and queues of the namespace are deleted afterwards."""
    yield settings_for(rabbitmq_url, namespace, tmp_path)
    delete_namespace(rabbitmq_url, namespace)


@pytest.fixture
def private_settings(private_node: PrivateNode, namespace: str, tmp_path: Path) -> Settings:
    """Settings for the private node. A short heartbeat, so that faults are noticed in seconds."""
    return settings_for(private_node.url, namespace, tmp_path, heartbeat=2)


def settings_for(url: str, namespace: str, tmp_path: Path, **flags: object) -> Settings:
    """Settings that depend on nothing of the user who runs the tests."""
    empty = tmp_path / "dlmon.toml"
    empty.touch()
    return load_settings({"broker": url, "namespace": namespace, **flags}, {}, empty)


def unavailable(reason: str) -> NoReturn:
    """Skip a test for want of something; with CI=true, fail it."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
