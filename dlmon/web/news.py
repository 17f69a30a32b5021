"""Rejects that came while the server runs, in groups: heard of through a tap, never looked at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from dlmon.brokers.base import Broker, Tap
from dlmon.errors import BrokerRefused
from dlmon.rejects.groups import Groups
from dlmon.rejects.rejection import from_delivery
from dlmon.validation.validator import Validator

_MAX_GROUPS = 20  # the largest; a state goes to every browser each second


class News:
    """Counts what a tap hears."""

    def __init__(self, validator: Validator) -> None:
        self._validator = validator
        self._groups = Groups()
        self._tap: Tap | None = None
        self._reason = ""

    @contextmanager
    def follow(self, broker: Broker) -> Iterator[None]:
        """Listen inside of the block. Without the permissions for that, say so."""
        with ExitStack() as opened:
            try:
                self._tap, self._reason = opened.enter_context(broker.open_tap()), ""
            except BrokerRefused as error:
                self._tap, self._reason = None, str(error)
            yield

    def read(self) -> bool:
        """Take what was heard; whether it was something.

        Raises: BrokerUnreachable, BrokerRefused.
        """
        heard = [] if self._tap is None else self._tap.read()
        for delivery in heard:
            self._groups.add(from_delivery(delivery, self._validator))
        return bool(heard)

    def record(self) -> dict[str, Any]:
        """How many there were, and the largest groups; or why that is not known."""
        if self._reason:
            return {"rejects": None, "groups": [], "reason": self._reason}
        largest = self._groups.largest_first()[:_MAX_GROUPS]
        return {
            "rejects": self._groups.count,
            "groups": [{"code": one.code, "path": one.path, "count": one.count} for one in largest],
        }
