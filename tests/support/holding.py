"""What a consumer says while it cannot store or park."""

from __future__ import annotations

import threading

from dlmon.errors import DlmonError
from dlmon.monitoring.observers import ConsumeObserver


class HoldingObserver(ConsumeObserver):
    """held: set once a batch was held. errors: why, and None when it works again."""

    def __init__(self) -> None:
        self.held = threading.Event()
        self.errors: list[DlmonError | None] = []

    def on_holding(self, error: DlmonError | None) -> None:
        self.errors.append(error)
        self.held.set()
