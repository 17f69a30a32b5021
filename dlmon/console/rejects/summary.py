"""Rejects on a screen: lists, notes and receipts. Where stdout is no terminal, in whole lines."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from dlmon.brokers.counts import explain_vanished
from dlmon.commands.inspect_rejects import Look
from dlmon.console.lines import print_line, stderr, stdout
from dlmon.console.text import MAX_ID, clock, counted, fitted, safe
from dlmon.rejects.actions import OnProgress
from dlmon.rejects.receipt import Receipt
from dlmon.rejects.rejection import Rejection
from dlmon.runtime.timestamps import to_rfc3339
from dlmon.validation.violations import describe_rule

MANY_DELIVERIES = 15
"""A look warns when a message was delivered more often: RabbitMQ's own limit, which a policy may
have set for the queue, is 20."""

_PIPED_LIST = 50
_LINES_AROUND_LIST = 4  # the command, the head, a note and the prompt
_REASONS_SHOWN = 10
_REASON_COLUMN = 21
_MIN_WIDTH = 20


def show_look(look: Look, where: str) -> None:
    """How many rejects there are, and how many of them were looked at."""
    ready = look.depth.ready
    # No false total: what another reader holds is in the queue too.
    text = counted(ready, "reject") if ready else "No rejects"
    text += f" to see in {where}" if look.partial else f" in {where}"
    if ready:
        text += ", all looked at" if look.looked >= ready else f", {look.looked:,} looked at"
    if look.selected < look.looked:
        text += f", {look.selected:,} selected"
    print_line(stdout(), Text(f"{text}.", "bold"))


class Notes:
    """What may be missing from a view; on stderr."""

    def __init__(self, look: Look, shown: int | None = None) -> None:
        """shown: how many of the selected the view has."""
        notes = (_wrapped(stderr(), f"note: {note}") for note in _notes(look, shown))
        self._lines = list(chain.from_iterable(notes))

    @property
    def height(self) -> int:
        return len(self._lines)

    def show(self) -> None:
        for line in self._lines:
            print_line(stderr(), Text(line, "yellow"))


def list_limit() -> int:
    """How many lines a list has by default: those that fit the screen."""
    console = stdout()
    return max(1, console.height - _LINES_AROUND_LIST) if console.is_terminal else _PIPED_LIST


def show_list(rejections: Sequence[Rejection]) -> None:
    """One reject a line: when, message id, code and path, reason. In a pipe, tabs between them."""
    console = stdout()
    if not console.is_terminal:
        for one in rejections:
            at = "" if one.rejected_at is None else to_rfc3339(one.rejected_at)
            fields = (at, one.message_id, one.code, one.path, one.reason)
            console.file.write("\t".join(map(safe, fields)) + "\n")  # rich would expand the tabs
        return
    if not rejections:
        return
    times = [clock(one.rejected_at) for one in rejections]
    # A day that all have in common is shown once: the width is for the reasons.
    days = {time.partition(" ")[0] for time in times}
    head = "rejected UTC"
    if len(days) == 1 and all(" " in time for time in times):
        times = [time.partition(" ")[2] for time in times]
        head = f"{days.pop()} UTC"
    width = max(map(len, (head, *times)))
    names = [safe(one.message_id) for one in rejections]
    widest = min(MAX_ID, max(map(cell_len, names)))
    print_line(console, Text(f"{head:<{width}}  {'message id':<{widest}}  why", "dim"))
    for time, name, one in zip(times, names, rejections, strict=True):
        padded = name if cell_len(name) > widest else fitted(name, widest)
        line = Text(f"{time:<{width}}  {padded}  ")
        line.append(safe(describe_rule(one.code, one.path)), "yellow")
        line.append(f"  {safe(one.reason)}")
        print_line(console, line)


def show_revalidation(passing: int, selected: int) -> None:
    """How many would pass now."""
    failing = " The others would still fail:" if passing else " Why they would still fail:"
    rest = "" if passing == selected else failing
    style = "green" if passing == selected else "bold"
    print_line(stdout(), Text(f"Of {selected:,}, {passing:,} would pass now.{rest}", style))


def show_hint(text: str) -> None:
    """What to do next; for people only."""
    if stdout().is_terminal:
        print_line(stdout(), Text(text, "dim"))


def show_exported(count: int, path: Path) -> None:
    """That rejects are in a file now; on stderr, since stdout may have them too."""
    print_line(stderr(), Text(f"{counted(count, 'reject')} written to {path}."), wrap=True)


def show_receipt(receipt: Receipt, done: str, *, dry_run: bool) -> None:
    """What an action came to. done: `replayed`, `moved` or `discarded`."""
    console = stdout()
    if dry_run:
        print_line(console, Text("This is what would be done:", "bold"))
    for line in _receipt(console, receipt, done):
        print_line(console, line)


def receipt_height(receipt: Receipt) -> int:
    """How many lines it takes to show the receipt of a dry run."""
    return 1 + sum(1 for _ in _receipt(stdout(), receipt, ""))


@contextmanager
def progress_bar(what: str, *, hidden: bool = False) -> Iterator[OnProgress]:
    """A bar on stderr while rejects are processed; nothing where stderr is no terminal."""
    console = stderr()
    hidden = hidden or not console.is_terminal
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task(what, total=None)
        yield lambda looked, total: bar.update(task, completed=looked, total=total)


def _notes(look: Look, shown: int | None) -> Iterator[str]:
    if shown is not None and shown < look.selected:
        yield f"{shown:,} of {look.selected:,} shown: --limit N shows more."
    if look.interrupted:
        yield f"stopped after {look.looked:,} of {look.depth.ready:,} rejects."
    if look.depth.held:
        yield f"another reader holds {look.depth.held:,} more rejects, which this view lacks."
    elif look.partial:
        yield "another reader may hold some rejects that this view lacks."
    if look.vanished:
        yield explain_vanished("the rejects queue", look.vanished)
    if look.most_deliveries > MANY_DELIVERIES:
        yield (
            f"delivered up to {look.most_deliveries} times so far. dlmon's queue sets no limit, "
            "but an operator policy with a delivery-limit would: exempt the rejects queue from it."
        )


def _remarks(receipt: Receipt) -> Iterator[str]:
    if receipt.interrupted:
        yield "Stopped before it was finished. Run it again for the rest."
    elif receipt.partial:
        yield "Another reader may hold some rejects. Run it again for them."
    if receipt.unremoved:
        yield (
            f"The connection was lost before {receipt.unremoved:,} of them could be removed: "
            "they are in rejects too. Doing it again is harmless."
        )


def _receipt(console: Console, receipt: Receipt, done: str) -> Iterator[Text]:
    yield _counter("selected", receipt.selected, "")
    yield _counter(done, receipt.done, "green")
    yield _counter("left", receipt.left.total(), "yellow")
    yield from _reasons(console, receipt.left)
    yield _counter("failed", receipt.failed.total(), "red")
    yield from _reasons(console, receipt.failed)
    for remark in _remarks(receipt):
        for line in _wrapped(console, remark):
            yield Text(line, "yellow")


def _counter(name: str, count: int, style: str) -> Text:
    return Text(f"{name:<10}{count:>9,}", style if count else "")


def _reasons(console: Console, reasons: Counter[str]) -> Iterator[Text]:
    for reason, count in reasons.most_common(_REASONS_SHOWN):
        for number, line in enumerate(_wrapped(console, safe(reason), _REASON_COLUMN)):
            yield Text(f"{'' if number else f'{count:,}':>19}  {line}", "dim")
    if (more := len(reasons) - _REASONS_SHOWN) > 0:
        others = counted(more, "other reason")
        yield Text(f"{'':>19}  and for {others}: --receipt FILE", "dim")


def _wrapped(console: Console, text: str, indent: int = 0) -> list[str]:
    """A text in lines that fit a terminal behind `indent` columns; in one line elsewhere."""
    if not console.is_terminal:
        return [text]
    return textwrap.wrap(text, max(_MIN_WIDTH, console.width - indent))
