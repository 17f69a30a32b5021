"""How the tests run in several processes, and where they find RabbitMQ.

RabbitMQ is the one that DLMON_TEST_BROKER names, else a node that all processes share where
rabbitmq-server is installed, else the one at localhost:5672. Without any, the tests that need it
are skipped, and with CI=true they fail. Tests that break a node have one of their own.
"""

from __future__ import annotations

import os
import signal
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import hypothesis
import pytest

from dlmon.config.settings import DEFAULT_BROKER, Settings, load_settings
from tests.support.amqp import delete_namespace, reachable
from tests.support.named import named_server
from tests.support.node import PrivateNode, installed
from tests.support.shared import Server, SharedServers
from tests.support.thorough import repetitions

HOW_TO_GET_ONE = (
    "start one with `docker compose up -d rabbitmq`, install rabbitmq-server, "
    "or name one in DLMON_TEST_BROKER"
)

# Without a deadline: a test must not fail because the machine is busy.
hypothesis.settings.register_profile(
    "dlmon", deadline=None, max_examples=repetitions(ordinary=25, thorough=500)
)
hypothesis.settings.load_profile("dlmon")

_SERVERS = pytest.StashKey[SharedServers]()

_PRIVATE_NODES = 2
"""In how many processes tests may have nodes of their own: each takes seconds to boot."""

_LONGEST_ID = 100  # characters of a test's parameter

_NEEDS_A_SERVER = ("rabbitmq", "private_node", "faults", "postgresql", "wheel", "browser")
"""Marks of tests that are slow because of what they need."""


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """In how many processes tests run, or None for xdist to decide."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    # For a file or a test, starting more processes takes longer than they save.
    if all(".py" in argument for argument in config.args):
        return 0
    cores = (len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()) or 1
    # Slow tests mostly wait for other processes, the others compute.
    return cores if config.option.markexpr == "not slow" else 2 * cores


def pytest_configure(config: pytest.Config) -> None:
    # A shell has what it starts in the background ignore Ctrl-C, and children inherit that: one
    # that comes before they have begun to listen would be lost.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if getattr(config.option, "numprocesses", None):
        # The process that runs no test itself ends the servers, also when it is terminated.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    began_elsewhere: dict[str, str] | None = getattr(config, "workerinput", None)
    config.stash[_SERVERS] = (
        SharedServers(Path(began_elsewhere["servers"]))
        if began_elsewhere
        else SharedServers.create()
    )


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Called for each process that is going to run tests."""
    node.workerinput["servers"] = str(node.config.stash[_SERVERS].folder)


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.stash[_SERVERS].end()


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    # An event has another id in each process, and all processes have to find the same tests.
    text = repr(val) if isinstance(val, bytes | str) else ""
    return argname if len(text) > _LONGEST_ID and "latitude" in text.replace("\\x00", "") else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # What a test needs is seen from its fixtures, so that no test has to be marked by hand.
    lanes: dict[Path, str] = {}
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if "rabbitmq_url" in fixtures:
            item.add_marker(pytest.mark.rabbitmq)
        if "rabbitmq_server" in fixtures:
            item.add_marker(pytest.mark.private_node)
        parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
        if any(isinstance(one, str) and one.startswith("postgresql") for one in parameters):
            item.add_marker(pytest.mark.postgresql)
        if {"postgres_url", "postgres_server"} & {*fixtures}:
            item.add_marker(pytest.mark.postgresql)
        # The fixture `dlmon` runs the command, in processes of its own.
        if "dlmon" in fixtures or any(map(item.get_closest_marker, _NEEDS_A_SERVER)):
            item.add_marker(pytest.mark.slow)
        # Tests of one group run in the same process, one after the other.
        if "_private_node" in fixtures:
            lane = lanes.setdefault(item.path, f"private-node-{len(lanes) % _PRIVATE_NODES}")
            item.add_marker(pytest.mark.xdist_group(lane))
        if "postgres_server" in fixtures:
            item.add_marker(pytest.mark.xdist_group("postgres-server"))
        if "browser" in fixtures:  # one browser for a file
            item.add_marker(pytest.mark.xdist_group(f"browser-{item.path.stem}"))


@pytest.fixture(scope="session")
def shared_servers(pytestconfig: pytest.Config) -> SharedServers:
    """The servers that all processes of this run share."""
    return pytestconfig.stash[_SERVERS]


@pytest.fixture(scope="session")
def rabbitmq_server() -> None:
    """The server is installed: a test can have nodes of its own."""
    if installed() is None:
        unavailable("rabbitmq-server is not installed, and this test needs a node of its own")


@pytest.fixture(scope="session")
def _private_node(
    rabbitmq_server: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PrivateNode]:
    node = PrivateNode(tmp_path_factory.mktemp("rabbitmq"))
    node.start()
    yield node
    node.kill()


@pytest.fixture(scope="session")
def rabbitmq_url(shared_servers: SharedServers) -> str:
    """A RabbitMQ that works, and that no test may break."""
    if named := named_server("DLMON_TEST_BROKER"):
        if not reachable(named):
            pytest.fail("no RabbitMQ answers at DLMON_TEST_BROKER, or it refuses the login")
        return named
    if installed() is not None:
        return shared_servers.url("rabbitmq", lambda: _start_shared(shared_servers.folder))
    if not reachable(DEFAULT_BROKER):
        unavailable(f"no RabbitMQ answers at localhost:5672; {HOW_TO_GET_ONE}")
    return DEFAULT_BROKER


def _start_shared(folder: Path) -> Server:
    node_folder = folder / "rabbitmq"
    node_folder.mkdir()
    node = PrivateNode(node_folder)
    node.start()
    return node.share()


@pytest.fixture
def private_node(_private_node: PrivateNode) -> Iterator[PrivateNode]:
    """A node that the test may stop, kill or freeze; it is made to work again afterwards."""
    yield _private_node
    _private_node.start()


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
