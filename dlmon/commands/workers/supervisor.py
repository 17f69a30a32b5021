"""Several workers under one command: one set of totals, one stop, one result."""

from __future__ import annotations

import logging
import multiprocessing
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import wait

from dlmon.commands.consume import ConsumeResult
from dlmon.commands.workers.protocol import (
    Ended,
    Failure,
    FromWorker,
    Holding,
    Logged,
    Order,
    Progress,
    Ready,
    StopNow,
)
from dlmon.config.settings import Settings
from dlmon.errors import DlmonError, Interrupted, UsageError
from dlmon.monitoring.observers import ConsumeObserver
from dlmon.monitoring.totals import ConsumeTotals
from dlmon.rejects.rejection import Rejection
from dlmon.runtime.backoff import Backoff
from dlmon.runtime.stop import GRACE, Stop
from dlmon.stores.base import Entry

_TICK = 0.1
_BEYOND_GRACE = 0.2
_MODULE = "dlmon.commands.workers.worker"

_log = logging.getLogger(__name__)


def consume_with_workers(
    settings: Settings,
    stop: Stop,
    *,
    workers: int,
    batch: int,
    count: int | None = None,
    until_empty: bool = False,
    observer: ConsumeObserver | None = None,
) -> ConsumeResult:
    """As `consume`, in so many processes of their own, each with its own connections and store.

    A worker that dies (killed, out of memory, an event that crashes it) is replaced, and what it
    had in hand is delivered again. `count` is shared out among the workers.

    Raises: UsageError where the store cannot be shared. What a worker raises when it cannot start,
    or when the broker is of no use to it any more: the others are stopped then.
    """
    if str(settings.store) == "stdout":
        raise UsageError("Several workers cannot share stdout: choose another --store.")
    started = time.monotonic()
    crew = _Crew(observer or ConsumeObserver())
    try:
        for number in range(workers):
            share = None if count is None else (count + number) // workers
            if share != 0:
                crew.employ(_Worker(number + 1, Order(settings, batch, share, until_empty)))
        crew.run(stop)
    finally:
        crew.dismiss()
    failure = crew.failure
    if failure is not None and not isinstance(failure, Interrupted):
        raise failure
    return ConsumeResult(crew.totals(), time.monotonic() - started, failure)


class _Worker:
    """A worker as its supervisor sees it: one process, and after that has died another one."""

    def __init__(self, number: int, order: Order) -> None:
        self.name = f"Worker {number}"
        self.order = order
        self.earlier = ConsumeTotals()  # of processes that have died
        self.totals = ConsumeTotals()  # of the process there is
        self.held: str | None = None
        self.start_at: float | None = None  # when there is no process, but shall be one again
        self.is_ready = False  # the process there is
        self.was_ready = False  # any process of it
        self.backoff = Backoff()
        self.start()

    def start(self) -> None:
        """Start a process."""
        self.start_at = None
        self.is_ready = False
        self.pipe, theirs = multiprocessing.Pipe()
        with theirs:
            descriptor = theirs.fileno()
            self.process = subprocess.Popen(  # noqa: S603  (this very program)
                # -P: what lies in the folder where somebody is must not be imported.
                [sys.executable, "-P", "-m", _MODULE, str(descriptor)],
                stdin=subprocess.DEVNULL,
                pass_fds=(descriptor,),
                start_new_session=True,
            )
        self.tell(self.order)

    def tell(self, message: Order | StopNow) -> None:
        """To a process that is gone nothing is told: its end is seen where it is listened to."""
        with suppress(OSError):
            self.pipe.send(message)

    def hear(self) -> FromWorker | None:
        """What it tells; None once there is no more to come."""
        try:
            message: FromWorker = self.pipe.recv()
        except (EOFError, OSError):
            return None
        return message

    def end(self) -> str:
        """Wait for the end of the process, which has closed its pipe or is to be killed; returns
        how it ended."""
        self.pipe.close()  # it leaves at once when this is news to it
        code = self.process.wait()
        if code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"

    def replace_later(self) -> None:
        """Have another process do what this one has not done."""
        self.earlier.merge(self.totals)
        if self.order.count is not None:
            left = max(0, self.order.count - self.totals.received)
            self.order = replace(self.order, count=left)
        if self.totals.received:
            self.backoff = Backoff()
        self.totals = ConsumeTotals()
        self.held = None
        if self.order.count != 0:
            self.start_at = time.monotonic() + self.backoff.delay()


class _Crew:
    """All workers."""

    def __init__(self, observer: ConsumeObserver) -> None:
        self.failure: DlmonError | None = None
        self._observer = observer
        self._workers: list[_Worker] = []
        self._at_work: dict[object, _Worker] = {}  # by pipe
        self._told_to_stop_at: float | None = None
        self._shown_at = 0.0
        self._stored: list[Entry] = []
        self._rejections: list[Rejection] = []

    def employ(self, worker: _Worker) -> None:
        self._workers.append(worker)
        self._at_work[worker.pipe] = worker

    def run(self, stop: Stop) -> None:
        """Until every worker has ended."""
        while self._start_due():
            for pipe in wait([worker.pipe for worker in self._at_work.values()], _TICK):
                self._hear(self._at_work[pipe])
            if stop.requested or self.failure is not None:
                self._stop()
            if time.monotonic() - self._shown_at >= _TICK:
                self._show()
        self._show()

    def totals(self) -> ConsumeTotals:
        """What all of them have settled."""
        totals = ConsumeTotals()
        for worker in self._workers:
            totals.merge(worker.earlier)
            totals.merge(worker.totals)
        return totals

    def dismiss(self) -> None:
        """Leave no process behind."""
        for worker in self._at_work.values():
            worker.process.kill()
            worker.end()
        self._at_work.clear()

    def _hear(self, worker: _Worker) -> None:
        message = worker.hear()
        if isinstance(message, Progress):
            worker.totals = message.totals
            self._stored += message.stored
            self._rejections += message.rejections
        elif isinstance(message, Holding):
            worker.held = message.reason
            held = next((one.held for one in self._workers if one.held is not None), None)
            self._observer.on_holding(None if held is None else DlmonError(held))
        elif isinstance(message, Logged):
            logger = logging.getLogger(message.logger)
            logger.log(message.level, "%s: %s", worker.name, message.text)
        elif isinstance(message, Ready):
            self._ready(worker)
        elif isinstance(message, Ended):
            del self._at_work[worker.pipe]
            worker.totals = message.totals
            worker.end()
            if message.failure is not None:
                self._failed(worker, message.failure)
        else:
            del self._at_work[worker.pipe]
            self._died(worker, worker.end())

    def _ready(self, worker: _Worker) -> None:
        all_before = all(one.was_ready for one in self._workers)
        worker.is_ready = worker.was_ready = True
        if not all_before and all(one.was_ready for one in self._workers):
            _log.info("All %d workers are ready.", len(self._workers))

    def _died(self, worker: _Worker, how: str) -> None:
        if self._told_to_stop_at is not None:
            self.failure = self.failure or Interrupted(
                f"{worker.name} {how} while it was stopping; "
                "what it had in hand will be delivered again."
            )
        elif not worker.was_ready:
            self.failure = self.failure or Interrupted(
                f"{worker.name} {how} while it was starting."
            )
        else:
            _log.warning(
                "%s %s; another one takes its place. What it had in hand will be delivered again.",
                worker.name,
                how,
            )
            worker.replace_later()

    def _failed(self, worker: _Worker, failure: Failure) -> None:
        if self._told_to_stop_at is None and worker.was_ready and not worker.is_ready:
            # The one before it could start: it is the time that is wrong.
            _log.warning("%s: %s Trying again.", worker.name, failure.reason)
            worker.replace_later()
        else:
            self.failure = self.failure or failure.error()

    def _start_due(self) -> bool:
        """Start what is due; False when there is nothing to wait for any more."""
        now = time.monotonic()
        due = [worker for worker in self._workers if worker.start_at is not None]
        for worker in due:
            if worker.start_at is not None and now >= worker.start_at:
                worker.start()
                self._at_work[worker.pipe] = worker
        return bool(due or self._at_work)

    def _stop(self) -> None:
        """Tell all to stop, the first time; later see to it that they have."""
        now = time.monotonic()
        if self._told_to_stop_at is None:
            self._told_to_stop_at = now
            for worker in self._workers:
                worker.start_at = None
            for worker in self._at_work.values():
                worker.tell(StopNow())
        elif self._at_work and now - self._told_to_stop_at >= GRACE + _BEYOND_GRACE:
            names = ", ".join(worker.name for worker in self._at_work.values())
            self.failure = self.failure or Interrupted(
                f"{names}: what was in hand did not finish within {GRACE:g} s and was left; "
                "it will be delivered again."
            )
            self.dismiss()

    def _show(self) -> None:
        self._shown_at = time.monotonic()
        if self._stored or self._rejections:
            self._observer.on_settled(self.totals(), self._stored, self._rejections)
            self._stored, self._rejections = [], []
        else:
            self._observer.on_idle(self.totals())
