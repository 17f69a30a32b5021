"""What a worker and its supervisor say to each other."""

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
class Order:
    """What a worker has to do: the first thing it is told, and until it is told to stop the only
    one. The arguments are those of `consume`."""

    settings: Settings
    batch: int
    count: int | None
    until_empty: bool


class StopNow(NamedTuple):
    """To a worker: finish what is in hand, and end."""


class Ready(NamedTuple):
    """From a worker: store and broker are open."""


class Progress(NamedTuple):
    """From a worker: all that it has settled so far, with some of what was settled last."""

    totals: ConsumeTotals
    stored: Sequence[Entry]
    rejections: Sequence[Rejection]


class Holding(NamedTuple):
    """From a worker: a batch is held, and why; None: no longer."""

    reason: str | None


class Logged(NamedTuple):
    """From a worker: a line of its log."""

    logger: str
    level: int
    text: str


class Ended(NamedTuple):
    """From a worker: all it had to do is done, or why not. The last thing it tells."""

    totals: ConsumeTotals
    failure: Failure | None = None


class Failure(NamedTuple):
    """An error of another process."""

    exit_code: ExitCode
    reason: str

    def error(self) -> DlmonError:
        """The error, as near as it is known here."""
        if self.exit_code is ExitCode.INTERRUPTED:
            return Interrupted(self.reason)
        error = DlmonError(self.reason)
        error.exit_code = self.exit_code
        return error


FromWorker: TypeAlias = Ready | Progress | Holding | Logged | Ended
