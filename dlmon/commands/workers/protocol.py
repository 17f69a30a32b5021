"""The messages between a supervisor and its workers, pickled over a socket pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from dlmon.config.settings import Settings
from dlmon.errors import DlmonError, ExitCode, Interrupted
from dlmon.monitoring.totals import ConsumeTotals
from dlmon.rejects.rejection import Rejection
from dlmon.stores.base import Entry


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """To a worker, as the first message: its settings, and the arguments of `consume`.

    started: when the command started; see `dlmon.stores.retention.Retention`.
    """

    settings: Settings
    batch: int
    count: int | None
    until_empty: bool
    confirm_keep: bool
    started: float


class StopRequest(NamedTuple):
    """To a worker: finish the batch in hand, and end."""


class Ready(NamedTuple):
    """From a worker: store and broker are open."""


class Progress(NamedTuple):
    """From a worker: its totals so far, with some of the events that it settled last."""

    totals: ConsumeTotals
    stored: Sequence[Entry]
    rejections: Sequence[Rejection]


class Holding(NamedTuple):
    """From a worker: why a batch is held; None: it is held no longer."""

    reason: str | None


class LogLine(NamedTuple):
    """From a worker: a line of its log."""

    logger: str
    level: int
    text: str


class Finished(NamedTuple):
    """From a worker, as the last message: its totals, and why it failed where it did."""

    totals: ConsumeTotals
    failure: Failure | None = None


class Failure(NamedTuple):
    """An error in another process."""

    exit_code: ExitCode
    reason: str

    def error(self) -> DlmonError:
        """The error, with the same message and exit code."""
        if self.exit_code is ExitCode.INTERRUPTED:
            return Interrupted(self.reason)
        error = DlmonError(self.reason)
        error.exit_code = self.exit_code
        return error


FromWorker: TypeAlias = Ready | Progress | Holding | LogLine | Finished
