"""One worker: `python -m dlmon.commands.workers.worker DESCRIPTOR` with a socket to its supervisor.

It ignores SIGINT and SIGTERM, which the supervisor handles. When the socket is closed, the process
ends at once: what it had in hand is delivered again.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import NoReturn

from dlmon.brokers import open_broker
from dlmon.commands.configured import configured_name, configured_validator
from dlmon.commands.consume import consume
from dlmon.commands.workers.protocol import (
    Failure,
    Finished,
    FromWorker,
    Holding,
    LogLine,
    Progress,
    Ready,
    WorkerConfig,
)
from dlmon.errors import DlmonError, ExitCode, ResourceError
from dlmon.monitoring.observers import ConsumeObserver
from dlmon.monitoring.totals import ConsumeTotals
from dlmon.rejects.rejection import Rejection
from dlmon.runtime.interpreter import tune_gc, tune_switch_interval
from dlmon.runtime.resources import as_resource_error
from dlmon.runtime.stop import Stop
from dlmon.stores import open_store
from dlmon.stores.base import Entry

_REPORT_INTERVAL = 0.25  # seconds
_SAMPLES = 20
"""Stored and rejected events that go along with each report, to be shown."""


def main() -> None:
    """Run a worker until its work is done or its supervisor is gone."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    pipe = Connection(int(sys.argv[1]))
    try:
        config: WorkerConfig = pipe.recv()
    except EOFError:
        _exit()
    channel = _Channel(pipe)
    try:
        with as_resource_error():
            stop = Stop()
            threading.Thread(
                target=_await_stop, args=(pipe, stop), name="supervisor", daemon=True
            ).start()
    except ResourceError as error:
        channel.send(Finished(ConsumeTotals(), Failure(error.exit_code, str(error))))
        return
    logger = logging.getLogger("dlmon")
    logger.handlers = [_LogForwarder(channel)]
    logger.propagate = False
    logger.setLevel(config.settings.log_level.upper())
    channel.send(_work(config, stop, channel))


def _work(config: WorkerConfig, stop: Stop, channel: _Channel) -> Finished:
    settings = config.settings
    reporter = _Reporter(channel)
    try:
        validator = configured_validator(settings)
        with as_resource_error(), ExitStack() as opened:
            store = opened.enter_context(
                open_store(
                    settings.store,
                    settings.keep,
                    confirm_keep=config.confirm_keep,
                    started=config.started,
                    stop=stop,
                )
            )
            broker = opened.enter_context(open_broker(settings, stop))
            channel.send(Ready())
            tune_gc()
            tune_switch_interval()
            result = consume(
                broker,
                store,
                validator,
                stop,
                batch=config.batch,
                count=config.count,
                until_empty=config.until_empty,
                name=configured_name(settings),
                observer=reporter,
                by_continent=settings.metrics is not None,
            )
        reporter.report()
        if result.interrupted is not None:
            raise result.interrupted
    except DlmonError as error:
        return Finished(reporter.totals, Failure(error.exit_code, str(error)))
    return Finished(result.totals)


def _await_stop(pipe: Connection, stop: Stop) -> None:
    """Request a stop at the first message, and end the process when the socket is closed."""
    try:
        pipe.recv()
        stop.request()
        pipe.recv()
    except (EOFError, OSError):
        _exit()


def _exit() -> NoReturn:
    os._exit(ExitCode.INTERRUPTED)


class _Channel:
    """Sends messages to the supervisor, from any thread."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()

    def send(self, message: FromWorker) -> None:
        with self._lock:
            try:
                self._pipe.send(message)
            except OSError:
                _exit()


class _LogForwarder(logging.Handler):
    """Sends log lines to the supervisor, whose live view must not be overwritten."""

    def __init__(self, channel: _Channel) -> None:
        super().__init__()
        self._channel = channel

    def emit(self, record: logging.LogRecord) -> None:
        self._channel.send(LogLine(record.name, record.levelno, record.getMessage()))


class _Reporter(ConsumeObserver):
    """Reports progress to the supervisor, a few times a second."""

    def __init__(self, channel: _Channel) -> None:
        self._channel = channel
        self._reported_at = 0.0
        self._stored: deque[Entry] = deque(maxlen=_SAMPLES)
        self._rejections: list[Rejection] = []
        self.totals = ConsumeTotals()

    def on_settled(
        self, totals: ConsumeTotals, stored: Sequence[Entry], rejections: Sequence[Rejection]
    ) -> None:
        self._stored.extend(stored[-_SAMPLES:])
        room = _SAMPLES - len(self._rejections)
        # Without the bodies, which are not shown and can be large.
        self._rejections += (replace(rejection, body=b"") for rejection in rejections[:room])
        self.on_idle(totals)

    def on_idle(self, totals: ConsumeTotals) -> None:
        self.totals = totals
        if time.monotonic() - self._reported_at >= _REPORT_INTERVAL:
            self.report()

    def report(self) -> None:
        """Report now what has not been reported yet."""
        self._reported_at = time.monotonic()
        self._channel.send(Progress(self.totals, tuple(self._stored), tuple(self._rejections)))
        self._stored.clear()
        self._rejections.clear()

    def on_holding(self, error: DlmonError | None) -> None:
        self._channel.send(Holding(None if error is None else str(error)))


if __name__ == "__main__":
    main()
