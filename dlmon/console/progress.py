"""How many events a command has read, on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import Progress, TextColumn, TimeElapsedColumn

from dlmon.analysis import summaries
from dlmon.console.lines import stderr


@contextmanager
def counting(what: str) -> Iterator[summaries.Progress]:
    """A line on stderr that counts what is read; nothing where stderr is no terminal."""
    console = stderr()
    columns = (TextColumn(f"{what} {{task.completed:>12,.0f}}"), TimeElapsedColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("", total=None)
        yield lambda count: bar.update(task, completed=count)
