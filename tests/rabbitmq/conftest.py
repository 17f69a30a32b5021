from __future__ import annotations

from pathlib import Path

import pytest

from dlmon.config.settings import Settings
from tests.support.dlmon import Dlmon


@pytest.fixture
def dlmon(rabbitmq_settings: Settings, tmp_path: Path) -> Dlmon:
    return Dlmon(rabbitmq_settings, tmp_path)
