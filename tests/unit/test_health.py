"""What /healthz says, and when."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from dlmon.errors import PublishRefused, StoreUnavailable
from dlmon.monitoring import prometheus
from dlmon.monitoring.observers import ConsumeObserver, ProduceObserver
from dlmon.monitoring.prometheus import CommandMetrics, ConsumerMetrics, ProducerMetrics
from dlmon.monitoring.totals import ConsumeTotals, ProduceTotals
from tests.support.clock import Clock

SILENT = "Nothing has happened for more than 30 s: something hangs."


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(prometheus, "time", SimpleNamespace(monotonic=clock))
    return clock


def test_a_command_is_well_until_it_has_been_silent_for_thirty_seconds(clock: Clock) -> None:
    metrics = CommandMetrics(broker=None)
    clock.now += 30
    assert metrics.problem() is None
    clock.now += 0.1
    assert metrics.problem() == SILENT
    metrics.heartbeat()
    assert metrics.problem() is None


def test_an_idle_consumer_gives_signs_of_life(clock: Clock) -> None:
    metrics = ConsumerMetrics(ConsumeObserver(), None)
    for _ in range(3):
        clock.now += 29
        metrics.on_idle(ConsumeTotals())
        assert metrics.problem() is None
        clock.now += 29
        metrics.on_settled(ConsumeTotals(), [], [])
        assert metrics.problem() is None
    clock.now += 31
    assert metrics.problem() == SILENT


def test_what_a_consumer_waits_for_is_told_before_its_silence(clock: Clock) -> None:
    metrics = ConsumerMetrics(ConsumeObserver(), None)
    metrics.on_holding(StoreUnavailable("the disk is full"))
    assert metrics.problem() == "the disk is full"
    clock.now += 60
    assert metrics.problem() == "the disk is full"
    metrics.on_holding(None)
    assert metrics.problem() is None


def test_a_producer_that_goes_on_while_events_are_refused_is_not_well(clock: Clock) -> None:
    metrics = ProducerMetrics(ProduceObserver(), None)
    clock.now += 31
    assert metrics.problem() == SILENT
    metrics.on_progress(ProduceTotals())
    assert metrics.problem() is None
    metrics.on_refused(PublishRefused("The queue is full.", []))
    metrics.on_progress(ProduceTotals())
    assert metrics.problem() == "The queue is full."
    metrics.on_refused(None)
    assert metrics.problem() is None
