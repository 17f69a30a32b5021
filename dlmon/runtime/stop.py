"""A request to stop: signals make it, loops look at it and waits end by it."""

from __future__ import annotations

import os
import time
import weakref

from dlmon.runtime.polling import wait_until_ready

GRACE = 4.0
"""Seconds that work in hand may take after a stop was requested; a process may take 5 in all."""


class Stop:
    """Requested once, for good. Safe to use from any thread and from a signal handler."""

    def __init__(self, grace: float = GRACE) -> None:
        self._grace = grace
        self._requested_at: float | None = None
        # Not a threading.Event: its lock is not reentrant, so that a signal handler calling set()
        # while the same thread is inside wait() can block for ever. A pipe has no such lock.
        self._readable, self._writable = os.pipe()
        for descriptor in (self._readable, self._writable):
            weakref.finalize(self, os.close, descriptor)

    def request(self) -> None:
        """Request the stop. A second call changes nothing."""
        if self._requested_at is None:
            self._requested_at = time.monotonic()
            os.write(self._writable, b"\0")  # never read, so that it ends every wait from now on

    @property
    def requested(self) -> bool:
        """True once a stop was requested: take no new work, finish what is in hand."""
        return self._requested_at is not None

    @property
    def expired(self) -> bool:
        """True once the grace is over too: abandon what is in hand."""
        at = self._requested_at
        return at is not None and time.monotonic() - at >= self._grace

    def wait(self, seconds: float | None = None, descriptor: int | None = None) -> bool:
        """Wait until a stop is requested, at most `seconds`; return `requested`.

        descriptor: the wait also ends when there is something to read from it.
        """
        others = () if descriptor is None else (descriptor,)
        wait_until_ready(readable=(self._readable, *others), seconds=seconds)
        return self.requested
