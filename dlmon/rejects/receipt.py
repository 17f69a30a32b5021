"""What became of each reject that an action selected, counted and in a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, TypeAlias

import orjson

from dlmon.errors import DlmonError, FileError
from dlmon.rejects.rejection import Rejection
from dlmon.runtime.closeable import Closeable
from dlmon.runtime.files import AppendedLines

MAX_REASONS = 1000
"""Reasons that a receipt counts apart: they name paths, and paths come from events."""

_OTHER_REASONS = "other reasons"


class Outcome(StrEnum):
    """What became of a reject that was selected."""

    REPLAYED = "replayed"
    DISCARDED = "discarded"
    LEFT = "left"
    FAILED = "failed"


class ReceiptEntry(NamedTuple):
    """What became of one reject; `reason` says why it was left or failed."""

    message_id: str
    outcome: Outcome
    reason: str = ""


OnEntry: TypeAlias = Callable[[ReceiptEntry], None]
"""Called for each reject that was selected. Raises: FileError when it cannot note it."""


def ignore_entry(_entry: ReceiptEntry) -> None:
    """An `OnEntry` that does nothing."""


@dataclass(slots=True)
class Receipt:
    """The result of an action on rejects.

    total: rejects at the start, None where that is unknown. looked: how many of them were looked
    at. unremoved: how many were done, but not removed before the connection was lost. partial:
    another reader holds further ones, or may. error: what ended the action early. interrupted: a
    stop request did.
    """

    total: int | None
    on_entry: OnEntry = field(default=ignore_entry, repr=False)
    looked: int = 0
    done: int = 0
    left: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    unremoved: int = 0
    partial: bool = False
    interrupted: bool = False
    error: DlmonError | None = None

    @property
    def selected(self) -> int:
        return self.done + self.left.total() + self.failed.total()

    def record(self, outcome: Outcome, rejection: Rejection, reason: str = "") -> None:
        """Count one reject, and report it to `on_entry`. An entry that cannot be written becomes
        `error`, since the batch in hand has to be finished all the same."""
        if outcome is Outcome.LEFT:
            _count(self.left, reason)
        elif outcome is Outcome.FAILED:
            _count(self.failed, reason)
        else:
            self.done += 1
        try:
            self.on_entry(ReceiptEntry(rejection.message_id, outcome, reason))
        except FileError as error:
            self.error = self.error or error
            self.on_entry = ignore_entry


class ReceiptFile(Closeable):
    """Appends entries to a file, one JSON object a line. Use as a context manager."""

    def __init__(self, path: Path, *, dry_run: bool) -> None:
        """dry_run: noted in each line. Raises: FileError."""
        self._lines = AppendedLines(path, "the receipt")
        self._dry_run = dry_run

    def append(self, entry: ReceiptEntry) -> None:
        """Raises: FileError."""
        record = {
            "message_id": entry.message_id,
            "outcome": entry.outcome,
            "why": entry.reason,
            "dry_run": self._dry_run,
        }
        self._lines.append(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))

    def close(self) -> None:
        self._lines.close()


def _count(reasons: Counter[str], reason: str) -> None:
    known = reason in reasons or len(reasons) < MAX_REASONS
    reasons[reason if known else _OTHER_REASONS] += 1
