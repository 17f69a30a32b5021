from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dlmon.config.settings import Settings
from tests.support.dlmon import Dlmon
from tests.support.node import PrivateNode, free_port


@pytest.fixture
def dlmon(rabbitmq_settings: Settings, tmp_path: Path) -> Dlmon:
    return Dlmon(rabbitmq_settings, tmp_path)


@pytest.fixture(scope="module")
def managed_node(
    rabbitmq_server: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[PrivateNode, str]]:
    """A node with the management plugin, and where its API is."""
    port = free_port()
    node = PrivateNode(
        tmp_path_factory.mktemp("managed"),
        f"management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {port}\n",
        "[rabbitmq_management].",
    )
    node.start()
    yield node, f"http://127.0.0.1:{port}"
    node.kill()
