"""Faults of a RabbitMQ node, of the network and of processes, and what became of each event.

Every test here ends with a reconciliation by event id; the figures are printed at the end of a run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest

from dlmon.config.settings import Settings
from tests.support.dlmon import Dlmon
from tests.support.node import PrivateNode
from tests.support.pipeline import BUSY, Pipeline, eventually
from tests.support.proxy import Proxy

HEARTBEAT = 2
"""Seconds, the least there is: a silent broker is noticed within twice this and ten seconds."""

NOTICED_WITHIN = 2 * (HEARTBEAT + 5.0)
"""Seconds, pika's own bound for a peer that says nothing any more."""

LOST = "Connecting again."

_FIGURES = "what became of each event"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.faults)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    # By way of the reports, which come from all processes where tests run in several.
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    told = [
        text
        for report in reports
        for name, text in (report.user_properties if report.when == "call" else ())
        if name == _FIGURES
    ]
    if told:
        terminalreporter.section(_FIGURES)
        terminalreporter.write_line("\n".join(told))


@pytest.fixture
def pipeline(private_settings: Settings, tmp_path: Path) -> Iterator[Pipeline]:
    """Producer and consumers that notice faults in seconds."""
    with closing(Pipeline(_impatient(private_settings, tmp_path))) as pipeline:
        yield pipeline


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
    with closing(Pipeline(dlmon)) as pipeline:
        yield pipeline


Reconciled = Callable[..., None]


@pytest.fixture
def reconciled(request: pytest.FixtureRequest) -> Reconciled:
    """Drains a pipeline, and asserts that no event was lost and none is where it should not be."""

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
        name = request.node.name.removeprefix("test_")
        request.node.user_properties.append((_FIGURES, f"{name}: {text}"))
        assert found.sound, (found.lost, found.unexpected)
        assert found.stored + found.rejected >= found.confirmed > 0

    return reconciled


def both_sides_go_on(
    pipeline: Pipeline, reconciled: Reconciled, fault: AbstractContextManager[None], packed: int = 1
) -> None:
    """Producer and consumer notice that a fault begins, and once it is over nothing was lost.

    packed: events in each message.
    """
    producer = pipeline.produce(
        "--rate", "2000", "--invalid", "5%", "--events-per-message", str(packed)
    )
    consumer = pipeline.consume()
    pipeline.goes_on()
    started = time.monotonic()
    with fault:
        for side in (producer, consumer):
            side.says(LOST, NOTICED_WITHIN + BUSY)
        noticed = time.monotonic() - started
    pipeline.goes_on()
    assert producer.stop() == 0, producer.said
    assert consumer.stop() == 0, consumer.said
    reconciled(pipeline, **{"s until noticed": noticed})


def settled(count: Callable[[], int]) -> int:
    """A number, once it has stayed the same for a second."""
    seen, since = count(), time.monotonic()

    def stays() -> bool:
        nonlocal seen, since
        if (now := count()) != seen:
            seen, since = now, time.monotonic()
        return time.monotonic() - since > 1.0

    eventually(stays)
    return seen


def _impatient(settings: Settings, folder: Path) -> Dlmon:
    return Dlmon(settings, folder, DLMON_HEARTBEAT=str(HEARTBEAT), DLMON_CONNECT_TIMEOUT="3")
