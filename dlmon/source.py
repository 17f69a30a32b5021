"""Where the events that are published come from: one shape for simulated and recorded ones."""

from __future__ import annotations

from typing import NamedTuple, Protocol

VALID = "valid"
"""The verdict on an event that breaks no rule; any other is the code of a violation."""


class Planned(NamedTuple):
    """An event about to be published, with the verdict it should get.

    `verdict` is `VALID`, the code of its first violation, or None where nobody judged it.
    """

    message_id: str
    body: bytes
    verdict: str | None


class Source(Protocol):
    """Gives events, a few at a time."""

    @property
    def exhausted(self) -> bool:
        """True once there will be no more events."""

    def take(self, limit: int) -> list[Planned]:
        """The next events, up to `limit`; none when there are none yet, or no more.

        Raises: FileError when the events cannot be read any further.
        """
