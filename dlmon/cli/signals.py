"""Signals as requests to stop: finish what is in hand, then end."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

from dlmon.cli.ctrl_c import check_ctrl_c
from dlmon.errors import ExitCode
from dlmon.runtime.polling import wait_until_ready
from dlmon.runtime.stdio import STDERR, is_terminal
from dlmon.runtime.stop import GRACE, Stop

_BEYOND_GRACE = 0.5
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stop_on_signals(
    consequence: str = "unacknowledged events will be delivered again",
) -> Iterator[Stop]:
    """A stop that SIGTERM and Ctrl-C request; a second Ctrl-C ends the process at once.

    Work that does not end within its grace (a store that hangs in a system call, say) is abandoned
    by ending the process, with a message that names the consequence.

    Raises: CtrlC if it came before, and was ignored (`dlmon.cli.ctrl_c`).
    """
    stop = Stop()
    # Python calls a handler between two bytecodes of the main thread, so not while a system call
    # hangs. The interpreter writes the number of a signal into the wakeup descriptor in any case.
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    watchdog = threading.Thread(
        target=_watch, args=(reader, stop, consequence), name="signals", daemon=True
    )
    try:
        watchdog.start()
    except RuntimeError:  # the system allows no more threads
        os.close(reader)
        os.close(writer)
        with _stop_in_handlers(stop, consequence):
            check_ctrl_c()
            yield stop
        return
    wakeup_before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    handlers_before = {number: signal.signal(number, _on_signal) for number in _STOP_SIGNALS}
    try:
        check_ctrl_c()  # now that no further one can be ignored
        yield stop
    finally:
        for number, handler in handlers_before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(wakeup_before)
        os.close(writer)
        watchdog.join()
        os.close(reader)
        stop.request()


@contextmanager
def _stop_in_handlers(stop: Stop, consequence: str) -> Iterator[None]:
    """As `stop_on_signals` with handlers alone: no signal is noticed during a system call that
    hangs."""

    def on_stop_signal(number: int, _frame: FrameType | None) -> None:
        if not stop.requested:
            stop.request()
            signal.setitimer(signal.ITIMER_REAL, GRACE + _BEYOND_GRACE)
        elif number == signal.SIGINT:
            _end_process("")

    def on_alarm(_number: int, _frame: FrameType | None) -> None:
        _end_process(_abandoned(consequence))

    handlers = {**dict.fromkeys(_STOP_SIGNALS, on_stop_signal), signal.SIGALRM: on_alarm}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler_before in before.items():
            signal.signal(number, handler_before)
        stop.request()


@contextmanager
def outliving_log_rotation() -> Iterator[None]:
    """Ignore SIGHUP, by which log rotation asks a process to open its files again.

    The store opens its file for each batch, so there is nothing to do. On a terminal the signal
    means that the terminal has gone, and ends the process as usual.
    """
    if is_terminal(sys.stderr):
        yield
        return
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


def _on_signal(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: only a signal with a Python handler is written to the wakeup descriptor."""


def _watch(reader: int, stop: Stop, consequence: str) -> None:
    """Request the stop at the first signal; end the process at a second Ctrl-C, or once the grace
    is over."""
    deadline: float | None = None
    while wait_until_ready(
        readable=(reader,), seconds=None if deadline is None else deadline - time.monotonic()
    ):
        number = os.read(reader, 1)
        if not number:
            return
        if deadline is not None and number[0] == signal.SIGINT:
            _end_process("")
        if deadline is None and number[0] in _STOP_SIGNALS:
            stop.request()
            deadline = time.monotonic() + GRACE + _BEYOND_GRACE
    _end_process(_abandoned(consequence))


def _abandoned(consequence: str) -> str:
    text = f"what was in hand did not finish within {GRACE:g} s and was left; {consequence}"
    return f"dlmon: {text}.\n"


def _end_process(message: str) -> NoReturn:
    # A live view has hidden the cursor and cannot show it again.
    text = f"\x1b[?25h{message}" if os.isatty(STDERR) else message
    # Not through sys.stderr, whose lock the main thread may hold; and only if it does not block.
    with suppress(OSError):
        if wait_until_ready(writable=(STDERR,), seconds=0):
            os.write(STDERR, text.encode())
    os._exit(ExitCode.INTERRUPTED)
