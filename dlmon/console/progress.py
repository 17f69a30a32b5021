"""How many events a command has read, on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.progress import Progress, TextColumn, TimeElapsedColumn

from dlmon.console.lines import stderr


class ShowCount(Protocol):
    """Shows how many were read, and about how many there are, where that is known."""

    def __call__(self, done: int, total: int | None = None, /) -> None: ...


@contextmanager
def counting(what: str) -> Iterator[ShowCount]:
    """A line on stderr that counts what is read; nothing where stderr is no terminal."""
    console = stderr()
    columns = (TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(what)

        def show(done: int, total: int | None = None) -> None:
            of = "" if total is None else f" of {total:,}"
            bar.update(task, description=f"{what} {done:>12,}{of}")

        yield show
