from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.analysis.stores import Events


@pytest.fixture
def events(tmp_path: Path) -> Events:
    """A store, to be filled."""
    return Events(tmp_path / "events.db")
