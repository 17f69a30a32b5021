"""Signals as requests to stop: finish what is in hand, then end."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from dlmon.errors import ExitCode
from dlmon.stop import GRACE, Stop

_BEYOND_GRACE = 0.5


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """A stop that SIGTERM and Ctrl-C request; a second Ctrl-C leaves at once.

    Work that does not end within its grace (a store that hangs in a system call, say) is left by
    ending the process: what was not acknowledged is delivered again.
    """
    stop = Stop()
    done = threading.Event()

    def watch() -> None:
        stop.wait()
        if not done.wait(GRACE + _BEYOND_GRACE):
            _leave()

    def handle(number: int, _frame: FrameType | None) -> None:
        if stop.requested and number == signal.SIGINT:
            os._exit(ExitCode.INTERRUPTED)
        stop.request()

    # Started now and not by the handler: starting a thread takes locks that the interrupted code
    # may hold.
    threading.Thread(target=watch, name="stop-watchdog", daemon=True).start()
    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        done.set()
        stop.request()


def _leave() -> NoReturn:
    sys.stderr.write(
        f"dlmon: what was in hand did not finish within {GRACE:g} s and was left; "
        "unacknowledged events will be delivered again.\n"
    )
    sys.stderr.flush()
    os._exit(ExitCode.INTERRUPTED)
