"""How many messages the two queues have, for Prometheus."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from dlmon.brokers import open_broker
from dlmon.config.settings import Settings
from dlmon.errors import DlmonError, Interrupted
from dlmon.messages import Queue
from dlmon.runtime.stop import Stop

_INTERVAL = 5.0  # seconds
_JOIN = 1.0  # seconds that a connection may take to close


class Depths:
    """The depths of the queues, as they were some seconds ago; empty while they are not known."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._known: Mapping[Queue, int] = {}

    def known(self) -> Mapping[Queue, int]:
        """Messages by queue: those that are ready, and those held as far as the broker says."""
        return self._known

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Ask again and again inside of the block, over a connection of its own: neither a scrape
        nor a batch waits for the answer, and nothing is taken from the queues."""
        stop = Stop(grace=0)
        thread = threading.Thread(target=self._follow, args=(stop,), name="depths", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.request()
            thread.join(_JOIN)

    def _follow(self, stop: Stop) -> None:
        while not stop.requested:
            try:
                with open_broker(self._settings, stop) as broker:
                    while not stop.requested:
                        depths = {queue: broker.depth(queue) for queue in Queue}
                        self._known = {
                            queue: depth.ready + (depth.held or 0)
                            for queue, depth in depths.items()
                        }
                        stop.wait(_INTERVAL)
            except Interrupted:
                return
            except DlmonError:
                # The command itself says what is wrong with the broker.
                self._known = {}
                stop.wait(_INTERVAL)
