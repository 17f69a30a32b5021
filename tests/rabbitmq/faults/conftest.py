"""Faults of a RabbitMQ node, of the network and of processes, and what became of each event.

Every test here ends with a reconciliation by event id; the figures are printed at the end of a run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dlmon.settings import Settings
from tests.support.dlmon import Dlmon
from tests.support.node import PrivateNode
from tests.support.pipeline import Pipeline, eventually
from tests.support.proxy import Proxy

HEARTBEAT = 2
"""Seconds, the least there is: a silent broker is noticed within twice this and ten seconds."""

_FIGURES = pytest.StashKey[list[str]]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.faults)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if figures := terminalreporter.config.stash.get(_FIGURES, None):
        terminalreporter.section("what became of each event")
        terminalreporter.write_line("\n".join(figures))


@pytest.fixture
def pipeline(private_settings: Settings, tmp_path: Path) -> Iterator[Pipeline]:
    """Producer and consumers that notice faults in seconds."""
    pipeline = Pipeline(_impatient(private_settings, tmp_path))
    yield pipeline
    pipeline.close()


@pytest.fixture
def proxy(private_node: PrivateNode) -> Iterator[Proxy]:
    """A network between dlmon and the node."""
    with Proxy(private_node.port) as proxy:
        yield proxy


@pytest.fixture
def proxied(
    private_node: PrivateNode, proxy: Proxy, private_settings: Settings, tmp_path: Path
) -> Iterator[Pipeline]:
    """Producer and consumers on the other side of the network."""
    dlmon = _impatient(private_settings, tmp_path)
    dlmon.environment["DLMON_BROKER"] = proxy.url(private_node.url)
    pipeline = Pipeline(dlmon)
    yield pipeline
    pipeline.close()


Reconciled = Callable[..., None]


@pytest.fixture
def reconciled(request: pytest.FixtureRequest) -> Reconciled:
    """Drains a pipeline, and asserts that no event was lost and none is where it should not be."""
    figures = request.config.stash.setdefault(_FIGURES, [])

    def reconciled(pipeline: Pipeline, **more: float) -> None:
        """more: figures to print."""
        pipeline.drain()
        found = pipeline.reconcile()
        told: dict[str, float] = {
            "confirmed": found.confirmed,
            "stored": found.stored,
            "rejected": found.rejected,
            "lost": found.lost.total(),
            "unexpected": found.unexpected.total(),
            "recovered": found.recovered.total(),
            "parked twice": found.duplicated.total(),
            "delivered twice": pipeline.duplicates,
            **more,
        }
        text = ", ".join(f"{round(number, 1):,} {name}" for name, number in told.items())
        figures.append(f"{request.node.name.removeprefix('test_')}: {text}")
        assert found.sound, (found.lost, found.unexpected)
        assert found.stored + found.rejected >= found.confirmed > 0

    return reconciled


def settled(count: Callable[[], int]) -> int:
    """A number, once it has stayed the same for half a second."""
    seen, since = count(), time.monotonic()

    def stays() -> bool:
        nonlocal seen, since
        if (now := count()) != seen:
            seen, since = now, time.monotonic()
        return time.monotonic() - since > 0.5

    eventually(stays)
    return seen


def _impatient(settings: Settings, folder: Path) -> Dlmon:
    return Dlmon(settings, folder, DLMON_HEARTBEAT=str(HEARTBEAT), DLMON_CONNECT_TIMEOUT="3")
