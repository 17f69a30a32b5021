from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.validate_file import ValidateFile


@pytest.fixture
def validate(tmp_path: Path) -> ValidateFile:
    """Runs `dlmon validate-file` in a folder of its own."""
    return ValidateFile(tmp_path)
