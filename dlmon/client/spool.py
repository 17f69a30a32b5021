"""A file in which events wait for their broker: the local broker's, emptied by a thread."""

from __future__ import annotations

import logging
import math
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from dlmon.brokers import open_broker
from dlmon.brokers.base import Depth
from dlmon.brokers.local import LocalBroker
from dlmon.commands.forward import forward
from dlmon.config.names import Names
from dlmon.config.settings import Settings
from dlmon.config.urls import LocalAddress
from dlmon.errors import BrokerUnreachable, DlmonError, UsageError
from dlmon.messages import Queue
from dlmon.runtime.stop import Stop
from dlmon.sources.pacing import Pace
from dlmon.sources.packing import ENCODINGS, Packer

_POLL = 0.02  # seconds
_RETRY = 30.0  # seconds
_EMPTY = Depth(0, 0)

_log = logging.getLogger(__name__)


class Spool:
    """Sends what is in a file to a broker, until it is closed."""

    def __init__(
        self, path: Path, target: Settings, events_per_message: int, compress: str | None
    ) -> None:
        """path: the file, made where it is missing. target: the broker; nothing is connected yet.
        compress: `gzip`, `zstd`, or None.

        Raises: UsageError, BrokerUnreachable when the file cannot be used.
        """
        if events_per_message < 1:
            raise UsageError("events_per_message has to be at least 1.")
        if compress is not None and compress not in ENCODINGS:
            raise UsageError(f"compress has to be one of {', '.join(ENCODINGS)}.")
        packs = events_per_message > 1 or compress is not None
        self._packer = Packer(events_per_message, compress) if packs else None
        self._names = Names(target.namespace)
        self._path = path
        self._target = replace(target, wait=math.inf)
        self._stop = Stop(grace=0.0)
        self._error: DlmonError | None = None
        self._broker = LocalBroker(path, self._names)
        self._thread = threading.Thread(target=self._run, name="dlmon-spool", daemon=True)

    @property
    def settings(self) -> Settings:
        """Those of the file."""
        return Settings(broker=LocalAddress(self._path), namespace=self._names.namespace)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def wait_until_empty(self, deadline: float | None, timeout: float | None) -> None:
        """Wait until the broker has all that is in the file.

        deadline: by the monotonic clock. timeout: the seconds that it stands for.

        Raises: BrokerUnreachable at the deadline; the error that ended the sending.
        """
        while (depth := self._broker.depth(Queue.ARRIVALS)) != _EMPTY:
            if self._error is not None:
                raise self._error
            if deadline is not None and time.monotonic() >= deadline:
                left = depth.ready + (depth.held or 0)
                raise BrokerUnreachable(
                    f"{left:,} events are still in the spool after {timeout:g} s; the publisher "
                    "goes on sending them."
                )
            time.sleep(_POLL)

    def close(self, deadline: float) -> None:
        """Send until the deadline, by the monotonic clock; what is left then stays in the file."""
        while self._thread.is_alive() and time.monotonic() < deadline:
            if self._broker.depth(Queue.ARRIVALS) == _EMPTY:
                break
            time.sleep(_POLL)
        self._stop.request()
        self._thread.join()
        self._broker.close()

    def _run(self) -> None:
        while not self._stop.requested:
            try:
                with ExitStack() as opened:
                    source = opened.enter_context(LocalBroker(self._path, self._names, self._stop))
                    target = opened.enter_context(open_broker(self._target, self._stop))
                    self._error = None
                    result = forward(source, target, Pace(0), self._stop, packer=self._packer)
                    self._error = result.error
            except DlmonError as error:
                self._error = error
            if not self._stop.requested:
                # A login that is refused, say: what is wrong can be mended meanwhile.
                _log.error("%s Events stay in %s.", self._error, self._path)
                self._stop.wait(_RETRY)
