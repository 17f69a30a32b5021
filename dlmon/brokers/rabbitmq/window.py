"""How many messages may be unacknowledged, so that together they have few bytes.

RabbitMQ limits a prefetch by messages alone, and one may have 200 bytes or 16 MiB: the limit is
fitted to those that came.
"""

from __future__ import annotations

HELD_BYTES = 32 * 1024 * 1024
"""Bytes of messages that one process has unacknowledged, about; twice as many before it gives some
back."""

_FIRST = 4  # messages, before anything is known of their size
_WORTH_STARTING_LOW = 8 * _FIRST
_WORTH_GROWING = 2  # times: each change costs a round trip to the broker


class Window:
    """The limit for one consumer, which it fits by what it has unacknowledged."""

    def __init__(self, most: int, max_bytes: int = HELD_BYTES) -> None:
        """most: messages, however small they are."""
        self._most = most
        self._max_bytes = max_bytes
        self.size = most
        self.restart()

    def restart(self) -> None:
        """Begin again, with messages that nothing is known of."""
        if self._most >= _WORTH_STARTING_LOW:
            self.size = min(self.size, _FIRST)

    def is_burst(self, messages: int, held_bytes: int) -> bool:
        """Whether so many unacknowledged messages have too many bytes; one alone never has."""
        return held_bytes > 2 * self._max_bytes and messages > 1

    def shrink(self, messages: int, held_bytes: int) -> None:
        """Lower the limit, for messages as large as these."""
        self.size = max(1, min(self.size, messages * self._max_bytes // held_bytes))

    def grow(self, messages: int, held_bytes: int) -> bool:
        """Raise the limit, where it is much too low for messages as large as these. Returns whether
        it was."""
        if self.size == self._most:
            return False
        fitting = min(self._most, messages * self._max_bytes // max(1, held_bytes))
        if fitting < _WORTH_GROWING * self.size:
            return False
        self.size = fitting
        return True
