"""Processes that are killed in the middle of their work with SQLite."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable


def killed_before_statement(number: int, work: Callable[[], object]) -> bool:
    """Do work in a process of its own that is killed before its SQLite statement of this number.

    Returns whether it was killed: it ends before if it has fewer statements.
    """
    child = os.fork()
    if child == 0:
        _work_and_die(number, work)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.waitstatus_to_exitcode(status) == 0, "the work failed"
    return False


def _work_and_die(number: int, work: Callable[[], object]) -> None:
    left = number

    def count(_statement: str) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    class Connection(sqlite3.Connection):
        def __init__(self, *arguments: object, **options: object) -> None:
            super().__init__(*arguments, **options)  # type: ignore[arg-type]
            self.set_trace_callback(count)

    real = sqlite3.connect
    sqlite3.connect = lambda *a, **o: real(*a, **o, factory=Connection)  # type: ignore[assignment]
    status = 1
    try:
        work()
        status = 0
    finally:
        os._exit(status)
