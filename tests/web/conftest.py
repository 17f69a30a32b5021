"""A server in a thread, over a local broker and a SQLite store of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from dlmon.config.settings import Settings
from tests.support.dlmon import Dlmon
from tests.support.web import Served, served, wait_until

Serving = Callable[..., Served]


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    """Starts a server; its arguments are those of `ServeOptions`."""
    before = threading.active_count()
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(served(tmp_path, **options))
    # Nothing goes on behind the test's back.
    wait_until(threading.active_count, lambda count: count <= before)


@pytest.fixture
def dlmon(tmp_path: Path) -> Dlmon:
    """The command, with the same broker."""
    return Dlmon(Settings.for_url(f"sqlite:///{tmp_path}/broker.db"), tmp_path)


@pytest.fixture
def page(serving: Serving) -> Served:
    """A server that only looks, and a browser that is logged in."""
    return serving()


@pytest.fixture
def acting(serving: Serving) -> Served:
    """A server with --allow-actions."""
    return serving(allow_actions=True)
