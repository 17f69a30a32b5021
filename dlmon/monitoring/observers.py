"""What `produce` and `consume` report while they run."""

from __future__ import annotations

from collections.abc import Sequence

from dlmon.errors import (
    DlmonError,
    PublishRefused,
)
from dlmon.monitoring.totals import ConsumeTotals, ProduceTotals
from dlmon.rejects.rejection import Rejection
from dlmon.stores.base import Entry


class ConsumeObserver:
    """Told how it goes, in the thread that consumes. This one does nothing about it."""

    def on_settled(
        self, totals: ConsumeTotals, stored: Sequence[Entry], rejections: Sequence[Rejection]
    ) -> None:
        """A batch was acknowledged. What it had is in the totals already."""

    def on_idle(self, totals: ConsumeTotals) -> None:
        """Nothing arrived for a moment."""

    def on_holding(self, error: DlmonError | None) -> None:
        """A batch is held because of an error; None: no longer."""


class ProduceObserver:
    """Told how it goes, in the thread that produces. This one does nothing about it."""

    def on_progress(self, totals: ProduceTotals) -> None:
        """How it stands: at each turn, and several times a second in any case."""

    def on_refused(self, error: PublishRefused | None) -> None:
        """The broker does not take events now; None: it does again."""
