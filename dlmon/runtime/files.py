"""What the standard library lacks for files."""

from __future__ import annotations

import errno
import os
from pathlib import Path


def fsync_folder(path: Path) -> None:
    """Make the names in a folder durable, as fsync(2) of a file makes its content.

    Raises: OSError.
    """
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_at_most(path: Path, limit: int) -> bytes:
    """The content of a file of no more than `limit` bytes, which /dev/zero and a wrong path may be.

    Raises: OSError, EFBIG for a larger one.
    """
    with path.open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"it has more than {limit:,} bytes", str(path))
    return content
