"""Lines on stdout and stderr: cut at the edge of a terminal, whole in a pipe."""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from typing import TextIO

from rich.console import Console, ConsoleDimensions
from rich.text import Text

from dlmon.runtime.stdio import is_terminal

_MIN_COLUMNS, _MIN_LINES = 20, 5
_COLUMNS, _LINES = 80, 25


class _Console(Console):
    """A console whose layout depends on its stream.

    rich takes variables (FORCE_COLOR, TTY_COMPATIBLE) for a terminal, and any number for a size.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._is_terminal = is_terminal(stream)
        dumb = os.environ.get("TERM", "").lower() in ("dumb", "unknown")
        super().__init__(
            file=stream,
            highlight=False,
            width=_COLUMNS,  # so that rich does not look at the variables; see `size`
            height=_LINES,
            force_interactive=self._is_terminal and not dumb,
            color_system="standard" if _colours_are_forced() else "auto",
        )

    @property
    def is_terminal(self) -> bool:
        return self._is_terminal

    @property
    def size(self) -> ConsoleDimensions:
        columns = lines = 0
        if self._is_terminal:
            with suppress(OSError):  # it has gone
                columns, lines = os.get_terminal_size(self.file.fileno())
        return ConsoleDimensions(
            columns or _variable("COLUMNS", _MIN_COLUMNS) or _COLUMNS,
            lines or _variable("LINES", _MIN_LINES) or _LINES,
        )

    @size.setter
    def size(self, new_size: tuple[int, int]) -> None:
        raise NotImplementedError("the size is that of the stream")

    def on_broken_pipe(self) -> None:
        # rich would exit with 1, which means invalid data.
        raise BrokenPipeError


def stdout() -> Console:
    """Where data goes."""
    return _Console(sys.stdout)


def stderr() -> Console:
    """Where everything else goes."""
    return _Console(sys.stderr)


def print_line(console: Console, text: Text, *, wrap: bool = False) -> None:
    """One line. wrap: it may go on in the next one rather than be cut."""
    if console.is_terminal and not wrap:
        console.print(text, no_wrap=True, overflow="ellipsis")
    else:
        console.print(text, soft_wrap=True)


def _variable(name: str, least: int) -> int | None:
    """A size that a variable gives, if something can be shown in it."""
    text = os.environ.get(name, "")
    return int(text) if re.fullmatch("[0-9]{1,5}", text) and int(text) >= least else None


def _colours_are_forced() -> bool:
    """FORCE_COLOR asks for colours where there is no terminal; NO_COLOR is stronger."""
    return os.environ.get("FORCE_COLOR", "0") not in ("", "0") and not os.environ.get("NO_COLOR")
