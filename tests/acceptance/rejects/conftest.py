from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dlmon.brokers import open_broker
from dlmon.brokers.base import Broker
from dlmon.config.settings import Settings
from dlmon.runtime.stop import Stop
from tests.conftest import settings_for
from tests.support.dlmon import Dlmon


@pytest.fixture(params=["local", pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)])
def settings(request: pytest.FixtureRequest, tmp_path: Path, namespace: str) -> Settings:
    """Each broker in turn."""
    if request.param == "local":
        return settings_for(f"sqlite:///{tmp_path / 'broker.db'}", namespace, tmp_path)
    rabbitmq: Settings = request.getfixturevalue("rabbitmq_settings")
    return rabbitmq


@pytest.fixture
def stop() -> Stop:
    return Stop()


@pytest.fixture
def broker(settings: Settings, stop: Stop) -> Iterator[Broker]:
    with open_broker(settings, stop) as opened:
        yield opened


@pytest.fixture
def dlmon(settings: Settings, tmp_path: Path) -> Dlmon:
    return Dlmon(settings, tmp_path)
