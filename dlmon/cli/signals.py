"""Signals as requests to stop: finish what is in hand, then end."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from dlmon.errors import ExitCode
from dlmon.runtime.stop import GRACE, Stop

_BEYOND_GRACE = 0.5
_ASKING = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stop_on_signals(
    consequence: str = "unacknowledged events will be delivered again",
) -> Iterator[Stop]:
    """A stop that SIGTERM and Ctrl-C request; a second Ctrl-C leaves at once.

    Work that does not end within its grace (a store that hangs in a system call, say) is left by
    ending the process, which tells the consequence of that.
    """
    stop = Stop()
    # A Python handler runs between two steps of the main thread, and not while that hangs. The
    # interpreter writes the number of a signal into this pipe in any case.
    heard, told = os.pipe()
    os.set_blocking(told, False)
    watchdog = threading.Thread(
        target=_watch, args=(heard, stop, consequence), name="signals", daemon=True
    )
    watchdog.start()
    told_before = signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    before = {number: signal.signal(number, _heard) for number in _ASKING}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(told_before)
        os.close(told)
        watchdog.join()
        os.close(heard)
        stop.request()


@contextmanager
def outliving_log_rotation() -> Iterator[None]:
    """SIGHUP, by which log rotation asks for files to be opened again, ends nothing.

    Nobody else needs to hear of it: the store opens its file for each batch. On a terminal the
    signal means that the terminal has gone, and ends the process as ever.
    """
    if sys.stderr.isatty():
        yield
        return
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


def _heard(_number: int, _frame: FrameType | None) -> None:
    """Nothing: a signal without a Python handler is not written to the pipe."""


def _watch(heard: int, stop: Stop, consequence: str) -> None:
    poll = select.poll()
    poll.register(heard, select.POLLIN)
    deadline: float | None = None
    while poll.poll(None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000):
        number = os.read(heard, 1)
        if not number:
            return
        if deadline is not None and number[0] == signal.SIGINT:
            _leave("")
        if deadline is None and number[0] in _ASKING:
            stop.request()
            deadline = time.monotonic() + GRACE + _BEYOND_GRACE
    _leave(
        f"dlmon: what was in hand did not finish within {GRACE:g} s and was left; {consequence}.\n"
    )


def _leave(message: str) -> NoReturn:
    stderr = sys.stderr.fileno()
    # A live view has hidden the cursor, and will not get to show it again.
    text = f"\x1b[?25h{message}" if os.isatty(stderr) else message
    # Not through sys.stderr, and not where nobody reads: that may be what the main thread hangs in.
    if select.select([], [stderr], [], 0)[1]:
        os.write(stderr, text.encode())
    os._exit(ExitCode.INTERRUPTED)
