"""What `produce` and `consume` report while they run."""

from __future__ import annotations

from collections.abc import Sequence

from dlmon.errors import DlmonError, PublishRefused
from dlmon.monitoring.totals import ConsumeTotals, ProduceTotals
from dlmon.rejects.rejection import Rejection
from dlmon.stores.base import Entry


class ConsumeObserver:
    """Callbacks of `consume`, in the thread that consumes. Here they do nothing."""

    def on_settled(
        self, totals: ConsumeTotals, stored: Sequence[Entry], rejections: Sequence[Rejection]
    ) -> None:
        """A batch was acknowledged; the totals include it."""

    def on_idle(self, totals: ConsumeTotals) -> None:
        """Nothing arrived for about a second."""

    def on_holding(self, error: DlmonError | None) -> None:
        """A batch is held because of an error; None: it is held no longer."""


class ProduceObserver:
    """Callbacks of `produce`, in the thread that produces. Here they do nothing."""

    def on_progress(self, totals: ProduceTotals) -> None:
        """The totals now: after each batch, and at least several times a second."""

    def on_refused(self, error: PublishRefused | None) -> None:
        """The broker does not take events; None: it takes them again."""
