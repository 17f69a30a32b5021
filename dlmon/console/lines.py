"""Lines on stdout and stderr: cut at the edge of a terminal, whole in a pipe."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.text import Text


class _Console(Console):
    def on_broken_pipe(self) -> None:
        # rich would end the process with 1, which is for invalid data.
        raise BrokenPipeError


def stdout() -> Console:
    """Where data goes."""
    return _Console(file=sys.stdout, highlight=False)


def stderr() -> Console:
    """Where everything else goes."""
    return _Console(file=sys.stderr, highlight=False)


def print_line(console: Console, text: Text, *, wrap: bool = False) -> None:
    """One line. wrap: it may go on in the next one rather than be cut."""
    if console.is_terminal and not wrap:
        console.print(text, no_wrap=True, overflow="ellipsis")
    else:
        console.print(text, soft_wrap=True)
