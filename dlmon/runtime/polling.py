"""Waiting until descriptors are ready."""

from __future__ import annotations

import select
from collections.abc import Sequence

_LONGEST = 2**31 - 1
"""Milliseconds, 24 days: poll(2) takes a C int."""


def wait_until_ready(
    readable: Sequence[int] = (), writable: Sequence[int] = (), seconds: float | None = None
) -> set[int]:
    """Those descriptors that can be read, or are at their end, and those that can be written to.

    None once `seconds` are over. poll(2), since select(2) takes no descriptors from 1024 on.
    """
    poll = select.poll()
    for descriptors, events in ((readable, select.POLLIN), (writable, select.POLLOUT)):
        for descriptor in descriptors:
            poll.register(descriptor, events)
    seconds = None if seconds is None else max(0.0, seconds)
    ready = poll.poll(None if seconds is None else min(seconds * 1000, _LONGEST))
    if any(event & select.POLLNVAL for _, event in ready):
        # macOS cannot poll(2) terminals.
        can_read, can_write, _ = select.select(readable, writable, (), seconds)
        return {*can_read, *can_write}
    return {descriptor for descriptor, _ in ready}
