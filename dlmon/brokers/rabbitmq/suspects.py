"""Which message it is that the broker answers by closing the connection."""

from __future__ import annotations


class Suspects:
    """After such a close, every message that was unconfirmed is a suspect. They are published again
    one by one, each alone on the connection, until all are settled."""

    def __init__(self) -> None:
        self.left = 0
        self._closes = 0  # over the one that is published alone, the first close included

    def on_close(self, unconfirmed: int, attempts: int) -> bool:
        """Returns whether the only unconfirmed message is at fault.

        attempts: closes it takes to be sure of that.
        """
        if not self.left:
            self.left = unconfirmed
            self._closes = 1
        else:
            self._closes += 1
        return unconfirmed == 1 and self._closes >= attempts

    def on_settled(self, count: int) -> None:
        """So many suspects were confirmed, or refused."""
        self.left = max(0, self.left - count)
        self._closes = 1
