"""What was written of a store's events."""

from __future__ import annotations

from pathlib import Path

from rich.text import Text

from dlmon.console.lines import print_line, stderr
from dlmon.console.text import counted, safe


def show_written(count: int, path: Path) -> None:
    """A line on stderr."""
    print_line(stderr(), Text(f"{counted(count, 'event')} in {safe(str(path))}."))
