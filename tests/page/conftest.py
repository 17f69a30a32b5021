"""What the tests of the page need: a server, a browser, and the packages of `package.json`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import unavailable
from tests.page.visitor import BERLIN, DUBLIN, events
from tests.support.web import Served, served

if TYPE_CHECKING:
    from playwright.sync_api import Browser

MODULES = Path(__file__).parent / "node_modules"


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """The folder of the installed npm packages."""
    if not (MODULES / "uplot").is_dir():
        unavailable("no npm packages: type `npm ci --prefix tests/page`")
    return MODULES


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        unavailable("no Chromium: type `apt-get install chromium`")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        unavailable("no Playwright: type `pip install playwright`")
    # Chromium's own sandbox refuses root, which tests in a container often are.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield started
        started.close()


@pytest.fixture(scope="session")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server over 100 downloads in two countries, for tests that only look."""
    with served(tmp_path_factory.mktemp("downloads")) as server:
        server.store(*events(60, DUBLIN, 80.0), *events(40, BERLIN, 8.0))
        server.wait_for("/api/report", lambda report: report["total"]["count"] == 100)
        yield server


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Starts a server; its arguments are those of `ServeOptions`."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(served(tmp_path, **options))
