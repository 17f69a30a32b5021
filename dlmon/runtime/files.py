"""What the standard library lacks for files that must survive a crash."""

from __future__ import annotations

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
