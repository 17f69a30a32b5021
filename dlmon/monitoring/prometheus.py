"""What `produce` and `consume` say at /metrics and /healthz.

Nothing is counted for them: a scrape reads the totals that the commands count anyway.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, TypeAlias

from dlmon.brokers.base import Broker
from dlmon.config.settings import Settings
from dlmon.errors import DlmonError, PublishRefused
from dlmon.messages import Queue
from dlmon.monitoring.depths import Depths
from dlmon.monitoring.histogram import Histogram
from dlmon.monitoring.metrics_server import PortTaken, serve
from dlmon.monitoring.observers import ConsumeObserver, ProduceObserver
from dlmon.monitoring.totals import STAGES, ConsumeTotals, ProduceTotals
from dlmon.rejects.rejection import Rejection
from dlmon.stores.base import Entry

if TYPE_CHECKING:
    from prometheus_client import Metric

Labels: TypeAlias = tuple[str, ...]

_DELAYS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600, 3600)
_DURATIONS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SPEEDS = (1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500)
_SIZES = (1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11)
_MAX_SILENCE = 30.0
"""Seconds without a callback after which a command is unhealthy. An idle one calls each second."""


_log = logging.getLogger(__name__)


class CommandMetrics:
    """What /metrics and /healthz say of any command.

    broker: None where other processes have the connections.
    """

    def __init__(self, broker: Broker | None) -> None:
        self._broker = broker
        self._problem: str | None = None
        self._alive_at = time.monotonic()

    def collect(self) -> Iterable[Metric]:
        """The metrics, as prometheus-client asks for them."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        if self._broker is not None:
            yield CounterMetricFamily(
                "dlmon_reconnects",
                "Connections to the broker that were lost and made again.",
                value=self._broker.reconnects,
            )
        yield GaugeMetricFamily(
            "dlmon_healthy", "Whether /healthz says ok.", value=int(self.problem() is None)
        )

    def problem(self) -> str | None:
        """Why the command is unhealthy, None while it is healthy."""
        if self._problem is not None:
            return self._problem
        if self._broker is not None and not self._broker.connected:
            return "The broker does not answer."
        if time.monotonic() - self._alive_at > _MAX_SILENCE:
            return f"Nothing has happened for more than {_MAX_SILENCE:g} s: something hangs."
        return None

    def heartbeat(self, problem: DlmonError | None = None) -> None:
        """Note that the command is alive, and what is wrong with it, if anything."""
        self._alive_at = time.monotonic()
        self._problem = None if problem is None else str(problem)


class ConsumerMetrics(ConsumeObserver, CommandMetrics):
    """Metrics of `consume`. Passes callbacks on to another observer."""

    def __init__(
        self, observer: ConsumeObserver, broker: Broker | None, depths: Depths | None = None
    ) -> None:
        CommandMetrics.__init__(self, broker)
        self._observer = observer
        self._depths = depths
        self._totals = ConsumeTotals()

    def on_settled(
        self, totals: ConsumeTotals, stored: Sequence[Entry], rejections: Sequence[Rejection]
    ) -> None:
        self._totals = totals
        self.heartbeat()
        self._observer.on_settled(totals, stored, rejections)

    def on_idle(self, totals: ConsumeTotals) -> None:
        self._totals = totals
        self.heartbeat()
        self._observer.on_idle(totals)

    def on_holding(self, error: DlmonError | None) -> None:
        self.heartbeat(error)
        self._observer.on_holding(error)

    def collect(self) -> Iterable[Metric]:
        totals = self._totals
        for name, what, count in (
            ("received", "Events that were settled.", totals.received),
            ("stored", "Events that were stored.", totals.stored),
            ("duplicate", "Events that were in the store already.", totals.duplicates),
            ("redelivered", "Messages with events that were handed out again.", totals.redelivered),
            ("deleted", "Stored events that were older than --keep.", totals.deleted),
        ):
            yield _counter(f"dlmon_events_{name}", what, {(): count})
        codes: Counter[Labels] = Counter()
        for group in totals.rejected.largest_first():
            codes[(group.code,)] += group.count
        yield _counter("dlmon_events_rejected", "Events that were rejected.", codes, "code")
        yield _counter(
            "dlmon_messages_received", "Messages that were settled.", {(): totals.messages}
        )
        yield _counter("dlmon_batches", "Batches that were acknowledged.", {(): totals.batches})
        failures: dict[Labels, int] = {(s,): totals.failures[s] for s in STAGES if s != "judge"}
        yield _counter("dlmon_failures", "Attempts that failed.", failures, "stage")
        delay: dict[Labels, Histogram] = {(): totals.delay}
        what = "From published to stored."
        yield _histogram("dlmon_event_delay_seconds", what, delay, _DELAYS, unit=1e-3)
        stages: dict[Labels, Histogram] = {(name,): stage for name, stage in totals.stages.items()}
        what = "What a stage took for a batch."
        yield _histogram("dlmon_stage_seconds", what, stages, _DURATIONS, "stage", unit=1e-3)
        yield from self._downloads()
        yield from self._queues()
        yield from super().collect()

    def _downloads(self) -> Iterator[Metric]:
        # A copy: a continent can be added meanwhile, in the thread that consumes.
        continents = dict(self._totals.continents).items()
        speeds: dict[Labels, Histogram] = {(code,): one.speed for code, one in continents}
        what = "Speed of stored downloads."
        name = "dlmon_download_speed_megabits"
        yield _histogram(name, what, speeds, _SPEEDS, "continent")
        sizes: dict[Labels, Histogram] = {(code,): one.size for code, one in continents}
        what = "Size of stored downloads."
        yield _histogram("dlmon_download_size_bytes", what, sizes, _SIZES, "continent", unit=1e3)

    def _queues(self) -> Iterator[Metric]:
        from prometheus_client.core import GaugeMetricFamily

        depths = {} if self._depths is None else self._depths.known()
        for queue, name in (
            (Queue.ARRIVALS, "dlmon_arrivals_queue_messages"),
            (Queue.REJECTS, "dlmon_reject_queue_messages"),
        ):
            family = GaugeMetricFamily(name, f"Messages in {queue} some seconds ago.", labels=())
            if queue in depths:
                family.add_metric((), depths[queue])
            yield family


class ProducerMetrics(ProduceObserver, CommandMetrics):
    """Metrics of `produce`. Passes callbacks on to another observer."""

    def __init__(self, observer: ProduceObserver, broker: Broker | None) -> None:
        CommandMetrics.__init__(self, broker)
        self._observer = observer
        self._totals = ProduceTotals()

    def on_progress(self, totals: ProduceTotals) -> None:
        self._totals = totals
        if self._problem is None:
            self.heartbeat()
        self._observer.on_progress(totals)

    def on_refused(self, error: PublishRefused | None) -> None:
        self.heartbeat(error)
        self._observer.on_refused(error)

    def collect(self) -> Iterable[Metric]:
        from prometheus_client.core import GaugeMetricFamily

        # Read together: events are counted in another thread while these lines are written.
        confirmed, sent = self._totals.confirmed, self._totals.sent
        yield _counter("dlmon_events_sent", "Events that were sent.", {(): sent})
        what = "Events that the broker has for certain."
        yield _counter("dlmon_events_confirmed", what, {(): confirmed})
        yield GaugeMetricFamily(
            "dlmon_events_unconfirmed", "Events in flight.", value=sent - confirmed
        )
        yield from super().collect()


@contextmanager
def serve_consumer_metrics(
    observer: ConsumeObserver, settings: Settings, broker: Broker | None = None
) -> Iterator[ConsumeObserver]:
    """Serve metrics inside the block if the settings ask for them; yields the observer to use in
    place of the given one.

    Raises: UsageError when it cannot listen at the address.
    """
    if settings.metrics is None:
        yield observer
        return
    depths = Depths(settings)
    metrics = ConsumerMetrics(observer, broker, depths)
    with serve(*settings.metrics, metrics, metrics.problem), depths.followed():
        yield metrics


@contextmanager
def serve_producer_metrics(
    observer: ProduceObserver, address: tuple[str, int], broker: Broker | None = None
) -> Iterator[ProduceObserver]:
    """Serve metrics inside the block; yields the observer to use in place of the given one.

    On a machine with a consumer, both may take `metrics` from the same file: where the port is
    taken, events are produced without metrics.

    Raises: UsageError when it cannot listen at the address for another reason.
    """
    metrics = ProducerMetrics(observer, broker)
    with ExitStack() as serving:
        try:
            serving.enter_context(serve(*address, metrics, metrics.problem))
        except PortTaken as error:
            _log.warning("%s Producing without metrics.", error)
        yield metrics


def _counter(name: str, what: str, values: Mapping[Labels, int], *labels: str) -> Metric:
    from prometheus_client.core import CounterMetricFamily

    family = CounterMetricFamily(name, what, labels=labels)
    for label_values, value in values.items():
        family.add_metric(label_values, value)
    return family


def _histogram(
    name: str,
    what: str,
    values: Mapping[Labels, Histogram],
    bounds: Sequence[float],
    *labels: str,
    unit: float = 1.0,
) -> Metric:
    """unit: of what the histograms hold, in that of the bounds."""
    from prometheus_client.core import HistogramMetricFamily

    family = HistogramMetricFamily(name, what, labels=labels)
    for label_values, histogram in values.items():
        count = histogram.count
        buckets = [
            (str(float(bound)), min(count, histogram.up_to(bound / unit))) for bound in bounds
        ]
        family.add_metric(label_values, [*buckets, ("+Inf", count)], histogram.total * unit)
    return family
