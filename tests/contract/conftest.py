"""Each test here runs over both brokers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dlmon.brokers import open_broker
from dlmon.brokers.base import Broker
from dlmon.config.settings import Settings
from tests.conftest import settings_for


@pytest.fixture(params=["local", pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)])
def settings(request: pytest.FixtureRequest, tmp_path: Path, namespace: str) -> Settings:
    if request.param == "rabbitmq":
        rabbitmq: Settings = request.getfixturevalue("rabbitmq_settings")
        return rabbitmq
    return settings_for(f"sqlite:///{tmp_path}/broker.db", namespace, tmp_path)


@pytest.fixture
def broker(settings: Settings) -> Iterator[Broker]:
    with open_broker(settings) as broker:
        yield broker
