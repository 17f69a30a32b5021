"""What the parts of the page have in common."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus

from dlmon.config.settings import Settings
from dlmon.runtime.stop import Stop
from dlmon.validation.validator import Validator
from dlmon.web.answers import Problem


class Turns:
    """One look, dry run or action at a time: each hides the rejects that it holds from others."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    @contextmanager
    def take(self) -> Iterator[None]:
        """Raises: Problem when it is the turn of another."""
        if not self._lock.acquire(blocking=False):
            raise Problem(
                HTTPStatus.CONFLICT,
                "Another look, dry run or replay is under way.",
                "Try again once it has ended.",
            )
        try:
            yield
        finally:
            self._lock.release()

    @contextmanager
    def wait(self, stop: Stop) -> Iterator[bool]:
        """False where a stop is requested before it is this one's turn."""
        while not (mine := self._lock.acquire(timeout=0.1)) and not stop.requested:
            pass
        try:
            yield mine
        finally:
            if mine:
                self._lock.release()


@dataclass(frozen=True, slots=True)
class Site:
    """The broker and the store, the validator, and the stop of the server."""

    settings: Settings
    validator: Validator
    stop: Stop
    turns: Turns = field(default_factory=Turns)
