"""One action on rejects: how far it is, and its receipt."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from dlmon.rejects.receipt import Receipt
from dlmon.runtime.stop import Stop
from dlmon.runtime.timestamps import to_rfc3339
from dlmon.web.watching import now

_NEWS_EVERY = 0.5  # seconds between two reports of progress


class JobState(StrEnum):
    """What a job does."""

    RUNNING = "running"
    WAITING = "waiting"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


class Job:
    """Works in a thread of its own; all else is called from threads of requests."""

    def __init__(
        self, identity: str, kind: str, total: int, user: str, changed: Callable[[], None]
    ) -> None:
        """total: how many rejects it is for. user: who began it. changed: called with progress."""
        self.id = identity
        self.kind = kind
        self.total = total
        self.user = user
        self.began = to_rfc3339(now())
        self.state = JobState.RUNNING
        self.done = 0
        self.step: int | None = None
        self.stop = Stop()
        self.receipt: dict[str, Any] = {"user": user, "began": self.began}
        self._changed = changed
        self._reported_at = 0.0
        self._left: Counter[str] = Counter()
        self._error = ""
        self._continue = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def ended(self) -> bool:
        return self.state not in (JobState.RUNNING, JobState.WAITING)

    def record(self) -> dict[str, Any]:
        """The job for the page; its receipt once it has ended."""
        return {
            "id": self.id,
            "kind": self.kind,
            "state": self.state,
            "user": self.user,
            "done": self.done,
            "total": self.total,
            "step": self.step,
            "receipt": self.receipt if self.ended else None,
        }

    def start(self, thread: threading.Thread) -> None:
        self._thread = thread
        thread.start()

    def join(self, seconds: float) -> None:
        if self._thread is not None:
            self._thread.join(seconds)

    def cancel(self) -> None:
        """End it after what it has in hand."""
        self.stop.request()
        self._continue.set()

    def go_on(self) -> bool:
        """Begin the next step; False where none waits."""
        if self.state is not JobState.WAITING:
            return False
        self._continue.set()
        return True

    # In the thread of the job.

    def begin_step(self, step: int | None) -> None:
        """step: how many it is for; None for the rest."""
        self.step = step
        self._set(JobState.RUNNING)

    def wait_to_continue(self) -> bool:
        """Wait for the word of a user; False where it is to end."""
        self._continue.clear()
        if self.stop.requested:
            return False
        self._set(JobState.WAITING)
        self._continue.wait()
        return not self.stop.requested

    def count_one(self) -> None:
        """One more reject is done."""
        self.done += 1
        if time.monotonic() - self._reported_at >= _NEWS_EVERY:
            self._reported_at = time.monotonic()
            self._changed()

    def add(self, receipt: Receipt) -> None:
        """Note the result of a step."""
        self._left += receipt.left + receipt.failed
        if receipt.error is not None:
            self.fail(str(receipt.error))

    def fail(self, reason: str) -> None:
        self._error = reason
        self.state = JobState.FAILED

    def finish(self) -> None:
        """Called at the end, whatever it was."""
        if not self.ended:
            self.state = JobState.CANCELLED if self.stop.requested else JobState.DONE
        if self.stop.requested and self.done >= self.total and not self._error:
            self.state = JobState.DONE
        self.receipt |= {
            "ended": to_rfc3339(now()),
            "done": self.done,
            "left": dict(self._left),
            "not_found": max(0, self.total - self.done - self._left.total()),
            "error": self._error or None,
        }
        self._changed()

    def _set(self, state: JobState) -> None:
        self.state = state
        self._changed()
