"""Messages that vanish: a queue has fewer than it must have, and nothing consumed from it."""

from __future__ import annotations

import time

from dlmon.brokers.base import Broker, Depth
from dlmon.errors import BrokerUnreachable, Interrupted
from dlmon.messages import Queue
from dlmon.runtime.stop import Stop

_CHECK_EVERY = 30.0  # seconds
_SECOND_LOOK = 0.3  # seconds, after which a count that was behind is no longer


def count_vanished(before: Depth, now: Depth, added: int = 0) -> int:
    """How many messages are missing from a queue, as far as can be known.

    added: how many were confirmed in between. None is missing where a consumer or a reader was
    there before, or is now: it may have taken them. Nor from a stream, which forgets what is old.
    """
    if before.shared or now.shared or now.is_stream:
        return 0
    return max(0, before.ready + added - now.ready)


def explain_vanished(queue: str, count: int) -> str:
    """What to say of so many missing messages."""
    return (
        f"{count:,} messages are missing from {queue}, though nothing was consuming from it. "
        "Unless they were taken or purged in between, a policy of RabbitMQ drops them "
        "(message-ttl, max-length, expires): see `dlmon doctor`."
    )


class ParkedCount:
    """Compares the depth of rejects with what this process has parked there."""

    def __init__(self, broker: Broker, stop: Stop) -> None:
        self._broker = broker
        self._stop = stop
        self._before: Depth | None = None
        self._parked = 0
        self._check_at = 0.0

    def before_parking(self) -> None:
        """Note the depth, unless it is known."""
        if self._broker.has_policies and self._before is None:
            self._before = self._depth()
            self._check_at = time.monotonic() + _CHECK_EVERY

    def add(self, count: int) -> None:
        """So many were parked and confirmed."""
        self._parked += count

    @property
    def is_due(self) -> bool:
        """Whether it is time to look. What is being parked has to be waited for first."""
        return bool(self._parked) and time.monotonic() >= self._check_at

    def vanished(self, *, due: bool = True) -> int:
        """How many are missing since the last call that looked.

        due: look only once some time is over.
        """
        if not self._parked or (due and time.monotonic() < self._check_at):
            return 0
        missing = self._missing()
        if missing and not self._stop.wait(_SECOND_LOOK):
            missing = min(missing, self._missing())
        self._before, self._parked = None, 0
        return missing

    def _missing(self) -> int:
        now = self._depth()
        if self._before is None or now is None:
            return 0
        return count_vanished(self._before, now, self._parked)

    def _depth(self) -> Depth | None:
        try:
            return self._broker.depth(Queue.REJECTS)
        except (BrokerUnreachable, Interrupted):
            return None
