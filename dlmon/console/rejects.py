"""Rejects on a screen: groups, lists and receipts; and as whole lines where nobody looks."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from dlmon.commands.inspect_rejects import Look
from dlmon.commands.rejects import Progress as Told
from dlmon.commands.rejects import Receipt
from dlmon.console.lines import print_line, stderr, stdout
from dlmon.console.text import safe
from dlmon.grouping import Group, Groups, place
from dlmon.rejection import Rejection
from dlmon.times import to_rfc3339

MANY_DELIVERIES = 15
"""A look warns when a message was handed out more often: RabbitMQ's own limit, which a policy may
have put on the queue, is 20."""

_COLUMN = 16  # where the code begins
_TIME = 14
_LINES_AROUND = 8
_MIN_GROUPS = 4
_REASONS_SHOWN = 10


def show_look(look: Look, where: str) -> None:
    """How many rejects there are, and how many of them were looked at."""
    there = look.depth.ready
    if not there:
        text = f"No rejects to see in {where}" if look.partial else f"No rejects in {where}"
    elif look.looked >= there:
        text = f"{there:,} rejects in {where}, all looked at"
    else:
        text = f"{there:,} rejects in {where}, {look.looked:,} looked at"
    if look.selected < look.looked:
        text += f", {look.selected:,} selected"
    print_line(stdout(), Text(f"{text}.", "bold"))


def show_notes(look: Look, shown: int | None = None) -> None:
    """On stderr, what may be missing from a view. shown: how many of the selected it has."""
    for note in _notes(look, shown):
        print_line(stderr(), Text(f"note: {note}", "yellow"), wrap=True)


def show_groups(groups: Groups, limit: int | None) -> None:
    """The largest groups, each with its count, share, times, a sample and where it is from.

    limit: of groups; None for as many as fit a screen, and for all where stdout is no terminal.
    """
    console = stdout()
    ordered = groups.largest_first()
    shown = ordered[: limit or _fitting(console, ordered)]
    if not shown:
        return
    width = _what_width(console, shown)
    head = f"{'count':>7}  {'share':>5}  {'code and path':<{width}}"
    print_line(console, Text(f"{head}  {'first seen':<{_TIME}}  last seen UTC", "dim"))
    common = _common(shown)
    for group in shown:
        print_line(console, _row(group, groups.count, width))
        print_line(console, Text(f"{'':{_COLUMN}}{safe(group.sample_reason)}"))
        print_line(console, Text(f"{'':{_COLUMN}}such as {safe(group.sample_id)}", "dim"))
        if own := [fact for fact in _background(group) if fact not in common]:
            print_line(console, Text(f"{'':{_COLUMN}}{', '.join(own)}", "dim"))
    for fact in sorted(common):
        print_line(console, Text(f"all {fact}", "dim"))
    if console.is_terminal:
        print_line(
            console, Text("One of them: --show ID. What would pass now: --revalidate.", "dim")
        )
    if hidden := ordered[len(shown) :]:
        count = sum(group.count for group in hidden)
        print_line(
            console,
            Text(f"And {len(hidden)} smaller groups, {count:,} rejects: --limit {len(ordered)}."),
        )


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
    widest = max(len(safe(one.message_id)) for one in rejections)
    print_line(console, Text(f"{'rejected UTC':<{_TIME}}  {'message id':<{widest}}  why", "dim"))
    for one in rejections:
        line = Text(f"{_clock(one.rejected_at):<{_TIME}}  {safe(one.message_id):<{widest}}  ")
        line.append(safe(place(one.code, one.path)), "yellow")
        line.append(f"  {safe(one.reason)}")
        print_line(console, line)


def show_revalidation(passing: int, selected: int) -> None:
    """How many would pass now."""
    rest = "" if passing == selected else " The others would still fail:"
    style = "green" if passing == selected else "bold"
    print_line(stdout(), Text(f"Of {selected:,}, {passing:,} would pass now.{rest}", style))


def show_exported(count: int, path: Path) -> None:
    """That rejects are in a file now; on stderr, since stdout may have them too."""
    print_line(stderr(), Text(f"{count:,} rejects written to {path}."), wrap=True)


def show_receipt(receipt: Receipt, done: str, *, dry_run: bool) -> None:
    """What an action came to. done: `replayed`, `moved` or `discarded`."""
    console = stdout()
    if dry_run:
        print_line(console, Text("This is what would be done:", "bold"))
    _show_count(console, "selected", receipt.selected, "")
    _show_count(console, done, receipt.done, "green")
    _show_count(console, "left", receipt.left.total(), "yellow")
    _show_reasons(console, receipt.left)
    _show_count(console, "failed", receipt.failed.total(), "red")
    _show_reasons(console, receipt.failed)
    for remark in _remarks(receipt):
        print_line(console, Text(remark, "yellow"), wrap=True)


@contextmanager
def progress_bar(what: str, *, hidden: bool = False) -> Iterator[Told]:
    """A bar on stderr while something goes through rejects; nothing where that is no terminal."""
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
        yield "somebody else reads rejects too, and may hold some that this view lacks."
    if look.most_deliveries > MANY_DELIVERIES:
        yield (
            f"handed out up to {look.most_deliveries} times so far. dlmon's queue sets no limit, "
            "but an operator policy with a delivery-limit would: exempt the rejects queue from it."
        )


def _remarks(receipt: Receipt) -> Iterator[str]:
    if receipt.interrupted:
        yield "Stopped before it was finished. Run it again for the rest."
    elif receipt.partial:
        yield "Somebody else reads rejects too, and may hold some. Run it again for them."
    if receipt.still_there:
        yield (
            f"The connection was lost before {receipt.still_there:,} of them could be removed: "
            "they are in rejects too. Doing it again is harmless."
        )


def _row(group: Group, total: int, width: int) -> Text:
    row = Text(f"{group.count:>7,}", "bold")
    row.append(f"  {_share(group.count, total):>5}  ")
    row.append(f"{_what(group, width):<{width}}", "bold yellow")
    row.append(f"  {_clock(group.first_seen):<{_TIME}}  {_clock(group.last_seen)}", "not bold")
    return row


def _what_width(console: Console, groups: Sequence[Group]) -> int:
    longest = max(len("code and path"), *(len(_what(group)) for group in groups))
    room = console.width - _COLUMN - 2 * (2 + _TIME)
    return min(longest, room) if console.is_terminal else longest


def _what(group: Group, width: int | None = None) -> str:
    return safe(place(group.code, group.path), width)


def _fitting(console: Console, groups: Sequence[Group]) -> int:
    """How many groups one screen has room for, but a few in any case."""
    if not console.is_terminal:
        return len(groups)
    count = min(_MIN_GROUPS, len(groups))
    while count < len(groups) and _lines(groups[: count + 1]) + _LINES_AROUND <= console.height:
        count += 1
    return count


def _lines(groups: Sequence[Group]) -> int:
    """How many lines it takes to show groups, without what stands around them."""
    common = _common(groups)
    return len(common) + sum(3 + (not common.issuperset(_background(one))) for one in groups)


def _common(groups: Sequence[Group]) -> set[str]:
    """What is the same for all groups, and told once."""
    return set.intersection(*(set(_background(group)) for group in groups))


def _background(group: Group) -> list[str]:
    """Where rejects come from, and what they were judged by."""
    return [f"sent to {safe(origin)}" for origin in group.origins] + [
        f"judged by {safe(schema)}" for schema in group.schemas
    ]


def _share(count: int, total: int) -> str:
    percent = round(100 * count / total)
    return "<1%" if percent == 0 else f"{percent}%"


def _clock(at: int | None) -> str:
    """`03-01 12:00:00` of this year, the date alone of others, a dash where nobody noted it."""
    if at is None:
        return "-"
    text = to_rfc3339(at)
    this_year = text[:4] == to_rfc3339(time.time_ns() // 1_000_000)[:4]
    return f"{text[5:10]} {text[11:19]}" if this_year else text[:10]


def _show_count(console: Console, name: str, count: int, style: str) -> None:
    print_line(console, Text(f"{name:<10}{count:>9,}", style if count else ""))


def _show_reasons(console: Console, reasons: Counter[str]) -> None:
    for reason, count in reasons.most_common(_REASONS_SHOWN):
        print_line(console, Text(f"{count:>19,}  {safe(reason)}", "dim"), wrap=True)
    if (more := len(reasons) - _REASONS_SHOWN) > 0:
        print_line(console, Text(f"{'':>19}  and for {more} other reasons: --receipt FILE", "dim"))
