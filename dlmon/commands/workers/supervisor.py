"""Runs several workers under one command: one set of totals, one stop, one result."""

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
    Failure,
    Finished,
    FromWorker,
    Holding,
    LogLine,
    Progress,
    Ready,
    StopRequest,
    WorkerConfig,
)
from dlmon.config.settings import Settings
from dlmon.errors import DlmonError, Interrupted, ResourceError, UsageError
from dlmon.monitoring.observers import ConsumeObserver
from dlmon.monitoring.totals import ConsumeTotals
from dlmon.rejects.rejection import Rejection
from dlmon.runtime.backoff import Backoff
from dlmon.runtime.resources import lacking
from dlmon.runtime.stop import GRACE, Stop
from dlmon.stores.base import Entry
from dlmon.stores.retention import uptime

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
    confirm_keep: bool = False,
    observer: ConsumeObserver | None = None,
) -> ConsumeResult:
    """As `consume`, in so many processes, each with its own connections and store.

    A worker that dies (killed, out of memory, an event that crashes it) is replaced, and what it
    had in hand is delivered again. `count` is divided among the workers.

    Raises: UsageError when the store cannot be shared. What a worker raises when it cannot start,
    or cannot use the broker any more: the other workers are stopped then.
    """
    if str(settings.store) == "stdout":
        raise UsageError("Several workers cannot share stdout: choose another --store.")
    started = time.monotonic()
    since = uptime()
    supervisor = _Supervisor(observer or ConsumeObserver())
    try:
        for number in range(workers):
            share = None if count is None else (count + number) // workers
            if share != 0:
                config = WorkerConfig(settings, batch, share, until_empty, confirm_keep, since)
                supervisor.add(_WorkerProcess(number + 1, config))
        supervisor.run(stop)
    finally:
        supervisor.terminate()
    failure = supervisor.failure
    if failure is not None and not isinstance(failure, Interrupted):
        raise failure
    return ConsumeResult(supervisor.totals(), time.monotonic() - started, failure)


class _WorkerProcess:
    """One worker: a process, and after that has died another one."""

    def __init__(self, number: int, config: WorkerConfig) -> None:
        self.name = f"Worker {number}"
        self.config = config
        self.earlier_totals = ConsumeTotals()  # of the processes that have died
        self.totals = ConsumeTotals()  # of the current process
        self.held: str | None = None
        self.start_at: float | None = time.monotonic()  # of the next process, if there is none
        self.was_started = False
        self.is_ready = False  # the current process
        self.was_ready = False  # any of its processes
        self.backoff = Backoff()

    def start(self) -> None:
        """Start a process. Raises: OSError where the system allows no more of them."""
        self.is_ready = False
        self.pipe, theirs = multiprocessing.Pipe()
        with theirs:
            descriptor = theirs.fileno()
            try:
                self.process = subprocess.Popen(  # noqa: S603  (this very program)
                    # -P: never import a module from the current folder.
                    [sys.executable, "-P", "-m", _MODULE, str(descriptor)],
                    stdin=subprocess.DEVNULL,
                    pass_fds=(descriptor,),
                    start_new_session=True,
                )
            except OSError:
                self.pipe.close()
                raise
        self.start_at = None
        self.was_started = True
        self.send(self.config)

    def send(self, message: WorkerConfig | StopRequest) -> None:
        """Send a message. That the process is gone already shows at the next `receive`."""
        with suppress(OSError):
            self.pipe.send(message)

    def receive(self) -> FromWorker | None:
        """The next message, None once the process has closed its end."""
        try:
            message: FromWorker = self.pipe.recv()
        except (EOFError, OSError):
            return None
        return message

    def join(self) -> str:
        """Close the pipe, at which the process ends; returns in words how it ended."""
        self.pipe.close()
        code = self.process.wait()
        if code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"

    def replace_later(self) -> None:
        """Schedule another process for what this one has not done."""
        self.earlier_totals.merge(self.totals)
        if self.config.count is not None:
            left = max(0, self.config.count - self.totals.received)
            self.config = replace(self.config, count=left)
        if self.totals.received:
            self.backoff = Backoff()
        self.totals = ConsumeTotals()
        self.held = None
        if self.config.count != 0:
            self.start_at = time.monotonic() + self.backoff.delay()


class _Supervisor:
    """Runs the workers until all have finished."""

    def __init__(self, observer: ConsumeObserver) -> None:
        self.failure: DlmonError | None = None
        self._observer = observer
        self._workers: list[_WorkerProcess] = []
        self._running: dict[object, _WorkerProcess] = {}  # by pipe
        self._stop_sent_at: float | None = None
        self._reported_at = 0.0
        self._stored: list[Entry] = []
        self._rejections: list[Rejection] = []

    def add(self, worker: _WorkerProcess) -> None:
        self._workers.append(worker)

    def run(self, stop: Stop) -> None:
        """Return once every worker has finished."""
        while self._start_due():
            for pipe in wait([worker.pipe for worker in self._running.values()], _TICK):
                self._handle_message(self._running[pipe])
            if stop.requested or self.failure is not None:
                self._stop()
            if time.monotonic() - self._reported_at >= _TICK:
                self._report()
        self._report()

    def totals(self) -> ConsumeTotals:
        """The totals of all workers together."""
        totals = ConsumeTotals()
        for worker in self._workers:
            totals.merge(worker.earlier_totals)
            totals.merge(worker.totals)
        return totals

    def terminate(self) -> None:
        """Kill every process that is left."""
        for worker in self._running.values():
            worker.process.kill()
            worker.join()
        self._running.clear()

    def _handle_message(self, worker: _WorkerProcess) -> None:
        message = worker.receive()
        if isinstance(message, Progress):
            worker.totals = message.totals
            self._stored += message.stored
            self._rejections += message.rejections
        elif isinstance(message, Holding):
            worker.held = message.reason
            held = next((one.held for one in self._workers if one.held is not None), None)
            self._observer.on_holding(None if held is None else DlmonError(held))
        elif isinstance(message, LogLine):
            logger = logging.getLogger(message.logger)
            logger.log(message.level, "%s: %s", worker.name, message.text)
        elif isinstance(message, Ready):
            self._on_ready(worker)
        elif isinstance(message, Finished):
            del self._running[worker.pipe]
            worker.totals = message.totals
            worker.join()
            if message.failure is not None:
                self._on_failure(worker, message.failure)
        else:
            del self._running[worker.pipe]
            self._on_death(worker, worker.join())

    def _on_ready(self, worker: _WorkerProcess) -> None:
        all_before = all(one.was_ready for one in self._workers)
        worker.is_ready = worker.was_ready = True
        if not all_before and all(one.was_ready for one in self._workers):
            _log.info("All %d workers are ready.", len(self._workers))

    def _on_death(self, worker: _WorkerProcess, how: str) -> None:
        if self._stop_sent_at is not None:
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

    def _on_failure(self, worker: _WorkerProcess, failure: Failure) -> None:
        if self._stop_sent_at is None and worker.was_ready and not worker.is_ready:
            # An earlier process could start with the same settings: try again.
            _log.warning("%s: %s Trying again.", worker.name, failure.reason)
            worker.replace_later()
        else:
            self.failure = self.failure or failure.error()

    def _start_due(self) -> bool:
        """Start the processes that are due. False once none is running or scheduled."""
        now = time.monotonic()
        scheduled = [worker for worker in self._workers if worker.start_at is not None]
        for worker in scheduled:
            if worker.start_at is not None and now >= worker.start_at:
                try:
                    worker.start()
                except OSError as error:
                    self._on_start_failed(worker, error)
                else:
                    self._running[worker.pipe] = worker
        return bool(self._running) or any(one.start_at is not None for one in self._workers)

    def _on_start_failed(self, worker: _WorkerProcess, error: OSError) -> None:
        reason = lacking(error) or error.strerror
        if not any(one.was_started for one in self._workers):
            self.failure = ResourceError(f"No worker can be started: {reason}.")
            self._stop()
        elif worker.was_started or worker.config.count is not None:  # it has work that is not done
            _log.warning("%s cannot be started: %s. Trying again.", worker.name, reason)
            worker.start_at = time.monotonic() + worker.backoff.delay()
        else:
            _log.warning("%s cannot be started: %s. Going on without it.", worker.name, reason)
            self._workers.remove(worker)

    def _stop(self) -> None:
        """Send a stop to all workers, once; kill those that run on after the grace."""
        now = time.monotonic()
        if self._stop_sent_at is None:
            self._stop_sent_at = now
            for worker in self._workers:
                worker.start_at = None
            for worker in self._running.values():
                worker.send(StopRequest())
        elif self._running and now - self._stop_sent_at >= GRACE + _BEYOND_GRACE:
            names = ", ".join(worker.name for worker in self._running.values())
            self.failure = self.failure or Interrupted(
                f"{names}: what was in hand did not finish within {GRACE:g} s and was left; "
                "it will be delivered again."
            )
            self.terminate()

    def _report(self) -> None:
        self._reported_at = time.monotonic()
        if self._stored or self._rejections:
            self._observer.on_settled(self.totals(), self._stored, self._rejections)
            self._stored, self._rejections = [], []
        else:
            self._observer.on_idle(self.totals())
