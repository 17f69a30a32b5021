"""Errors that say that the system has no more of something."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from dlmon.errors import ResourceError

_NO_THREAD = "can't start new thread"  # CPython's only sign of it

_PROCESSES = "no more processes or threads are allowed (see ulimit -u, or a container's pids limit)"
_MEMORY = "there is no more memory"
_REASONS = {
    errno.EAGAIN: _PROCESSES,
    errno.EMFILE: "no more files may be open (see ulimit -n)",
    errno.ENFILE: "the system has too many open files",
    errno.ENOMEM: _MEMORY,
    errno.ENOSPC: "there is no more room on the disk",
    errno.EDQUOT: "the disk quota is used up",
}


@contextmanager
def as_resource_error() -> Iterator[None]:
    """Raise `ResourceError` for any exception that says that the system has no more of something:
    that can happen wherever a file is opened, a module imported or a thread started."""
    try:
        yield
    except (OSError, RuntimeError, MemoryError) as error:
        if (reason := lacking(error)) is None:
            raise
        raise ResourceError(f"Cannot go on: {reason}.") from error


def lacking(error: BaseException) -> str | None:
    """What the system has no more of, in words; None if that is not what an exception says."""
    if isinstance(error, MemoryError):
        return _MEMORY
    if isinstance(error, OSError):
        return _REASONS.get(error.errno or 0)
    return _PROCESSES if str(error).startswith(_NO_THREAD) else None


@contextmanager
def spare_descriptors(count: int) -> Iterator[None]:
    """Hold descriptors that are free again at the end, so that what opens files in between leaves
    some. Holds fewer where there are not as many.
    """
    held: list[int] = []
    try:
        with suppress(OSError):
            for _ in range(count):
                held.append(os.open(os.devnull, os.O_RDONLY))
        yield
    finally:
        for descriptor in held:
            os.close(descriptor)
