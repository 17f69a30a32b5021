"""One worker: `python -m dlmon.commands.workers.worker DESCRIPTOR` with a socket to its supervisor.

It heeds nobody else. Once that socket is closed there is nobody to tell anything, and it leaves at
once: what it had in hand is delivered again.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
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
from dlmon.commands.consume import consume
from dlmon.commands.workers.protocol import (
    Ended,
    Failure,
    FromWorker,
    Holding,
    Logged,
    Order,
    Progress,
    Ready,
)
from dlmon.errors import DlmonError, ExitCode
from dlmon.monitoring.observers import ConsumeObserver
from dlmon.monitoring.totals import ConsumeTotals
from dlmon.rejects.rejection import Rejection
from dlmon.runtime.interpreter import tune_gc, tune_switch_interval
from dlmon.runtime.stop import Stop
from dlmon.stores import open_store
from dlmon.stores.base import Entry
from dlmon.validation.schema import load_schema
from dlmon.validation.validator import Validator

_TELL_EVERY = 0.25  # seconds
_SHOWN = 20
"""Events of each kind that are worth a look, of all that were settled in between."""


def main() -> None:
    """Be a worker."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    pipe = Connection(int(sys.argv[1]))
    try:
        order: Order = pipe.recv()
    except EOFError:
        _leave()
    stop = Stop()
    threading.Thread(target=_heed, args=(pipe, stop), name="supervisor", daemon=True).start()
    supervisor = _Supervisor(pipe)
    logger = logging.getLogger("dlmon")
    logger.handlers = [_Forwarding(supervisor)]
    logger.propagate = False
    logger.setLevel(order.settings.log_level.upper())
    supervisor.tell(_work(order, stop, supervisor))


def _work(order: Order, stop: Stop, supervisor: _Supervisor) -> Ended:
    settings = order.settings
    relay = _Relay(supervisor)
    try:
        validator = Validator(load_schema(settings.schema), settings.max_event_bytes)
        with ExitStack() as opened:
            store = opened.enter_context(open_store(settings.store, settings.keep))
            broker = opened.enter_context(open_broker(settings, stop))
            supervisor.tell(Ready())
            tune_gc()
            tune_switch_interval()
            result = consume(
                broker,
                store,
                validator,
                stop,
                batch=order.batch,
                count=order.count,
                until_empty=order.until_empty,
                name=settings.connection_name or f"{socket.gethostname()}:{os.getpid()}",
                observer=relay,
            )
        relay.tell()
        if result.interrupted is not None:
            raise result.interrupted
    except DlmonError as error:
        return Ended(relay.totals, Failure(error.exit_code, str(error)))
    return Ended(result.totals)


def _heed(pipe: Connection, stop: Stop) -> None:
    try:
        pipe.recv()
        stop.request()
        pipe.recv()
    except (EOFError, OSError):
        _leave()


def _leave() -> NoReturn:
    os._exit(ExitCode.INTERRUPTED)


class _Supervisor:
    """Whom everything is told, from any thread."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()

    def tell(self, message: FromWorker) -> None:
        with self._lock:
            try:
                self._pipe.send(message)
            except OSError:
                _leave()


class _Forwarding(logging.Handler):
    """Leaves log lines to the supervisor, which knows where they may be shown."""

    def __init__(self, supervisor: _Supervisor) -> None:
        super().__init__()
        self._supervisor = supervisor

    def emit(self, record: logging.LogRecord) -> None:
        self._supervisor.tell(Logged(record.name, record.levelno, record.getMessage()))


class _Relay(ConsumeObserver):
    """Tells the supervisor how it goes, a few times a second."""

    def __init__(self, supervisor: _Supervisor) -> None:
        self._supervisor = supervisor
        self._told_at = 0.0
        self._stored: deque[Entry] = deque(maxlen=_SHOWN)
        self._rejections: list[Rejection] = []
        self.totals = ConsumeTotals()

    def on_settled(
        self, totals: ConsumeTotals, stored: Sequence[Entry], rejections: Sequence[Rejection]
    ) -> None:
        self._stored.extend(stored[-_SHOWN:])
        room = _SHOWN - len(self._rejections)
        # Without their bodies, which nobody looks at and which can be large.
        self._rejections += (replace(rejection, body=b"") for rejection in rejections[:room])
        self.on_idle(totals)

    def on_idle(self, totals: ConsumeTotals) -> None:
        self.totals = totals
        if time.monotonic() - self._told_at >= _TELL_EVERY:
            self.tell()

    def tell(self) -> None:
        """Tell what was not told yet: now, and once more at the end."""
        self._told_at = time.monotonic()
        self._supervisor.tell(Progress(self.totals, tuple(self._stored), tuple(self._rejections)))
        self._stored.clear()
        self._rejections.clear()

    def on_holding(self, error: DlmonError | None) -> None:
        self._supervisor.tell(Holding(None if error is None else str(error)))


if __name__ == "__main__":
    main()
