"""How long to wait before a retry."""

from __future__ import annotations

from random import uniform


class Backoff:
    """Delays that double up to a cap, with jitter: processes that failed together retry apart."""

    def __init__(self, first: float = 0.1, cap: float = 5.0) -> None:
        """first, cap: seconds."""
        self._next = first
        self._cap = cap

    def delay(self) -> float:
        """Seconds to wait before the next attempt."""
        longest = self._next
        self._next = min(self._cap, 2 * longest)
        return uniform(longest / 2, longest)  # noqa: S311  (nothing secret about it)
