"""What the tests of the page need: a browser, and the packages of `package.json`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import unavailable

MODULES = Path(__file__).parent / "node_modules"


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """The folder of the installed npm packages."""
    if not (MODULES / "uplot").is_dir():
        unavailable("no npm packages: type `npm ci --prefix tests/page`")
    return MODULES
