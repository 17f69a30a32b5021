from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from dlmon.config.settings import Settings
from tests.conftest import settings_for
from tests.support.arrived import Arrived, arrived_at
from tests.support.dlmon import Dlmon


@pytest.fixture
def settings(tmp_path: Path, namespace: str) -> Settings:
    return settings_for(f"sqlite:///{tmp_path / 'broker.db'}", namespace, tmp_path)


@pytest.fixture
def dlmon(settings: Settings, tmp_path: Path) -> Dlmon:
    return Dlmon(settings, tmp_path)


@pytest.fixture
def arrived(settings: Settings, tmp_path: Path) -> Arrived:
    return partial(arrived_at, tmp_path / "broker.db", settings.namespace)
