"""Groups of rejects on a screen: as many as it has room for, and all of them in a pipe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from dlmon.console.lines import print_line, stdout
from dlmon.console.text import MAX_ID, clock, counted, fitted, safe
from dlmon.rejects.groups import Group, Groups
from dlmon.validation.violations import describe_rule

PROMPT_LINES = 2
"""The line of the command, and that of the cursor."""

_COLUMN = 16  # where the code begins
_TIME = 14
_MIN_WHAT = 13
_MIN_GROUPS = 1


class Surroundings(NamedTuple):
    """What else is on the screen of a table of groups.

    lines: how many. more: how to see all groups, with `{}` for their number.
    """

    lines: int
    more: str


def show_groups(groups: Groups, limit: int | None, around: Surroundings) -> None:
    """The largest groups, each with its count, share, times, a sample and where it is from.

    limit: of groups; None for as many as fit a screen, and for all where stdout is no terminal.
    """
    if not len(groups):
        return
    console = stdout()
    table = _fitting(console, groups, limit, around)
    for line in table.lines():
        print_line(console, line)
    if hidden := len(groups) - len(table.groups):
        rejects = groups.count - sum(group.count for group in table.groups)
        text = f"And {counted(hidden, 'more group')} ({counted(rejects, 'reject')})"
        print_line(console, Text(f"{text}: {around.more.format(len(groups))}."))


def _fitting(console: Console, groups: Groups, limit: int | None, around: Surroundings) -> _Table:
    """The table with samples of two lines. If the screen has no room for that, with samples of one
    line, and then, unless `limit` asks for so many, without the smallest groups."""
    ordered = groups.largest_first()[:limit]
    whole = _Table(ordered, groups.count, console)
    room = console.height - around.lines - PROMPT_LINES
    hidden = len(groups) - len(ordered)
    if not console.is_terminal or whole.height + bool(hidden) <= room:
        return whole
    if limit is not None:
        return _Table(ordered, groups.count, console, brief=True)
    table = _Table(ordered[:_MIN_GROUPS], groups.count, console, brief=True)
    for count in range(_MIN_GROUPS + 1, len(ordered) + 1):
        larger = _Table(ordered[:count], groups.count, console, brief=True)
        if larger.height + (count < len(ordered)) > room:
            break
        table = larger
    return table


class _Table:
    """Groups as lines. brief: a sample takes one line instead of two."""

    def __init__(
        self, groups: Sequence[Group], total: int, console: Console, *, brief: bool = False
    ) -> None:
        self.groups = groups
        self._total = total
        self._brief = brief
        # What is the same for all groups is shown once.
        self._common = set.intersection(*(set(_background(group)) for group in groups))
        longest = max(_MIN_WHAT, *(cell_len(_what(group)) for group in groups))
        room = max(_MIN_WHAT, console.width - _COLUMN - 2 * (2 + _TIME))
        self._width = min(longest, room) if console.is_terminal else longest

    @property
    def height(self) -> int:
        return sum(1 for _ in self.lines())

    def lines(self) -> Iterator[Text]:
        head = f"{'count':>7}  {'share':>5}  {'code and path':<{self._width}}"
        yield Text(f"{head}  {'first seen':<{_TIME}}  last seen UTC", "dim")
        for group in self.groups:
            yield self._row(group)
            yield from self._sample(group)
            if own := [fact for fact in _background(group) if fact not in self._common]:
                yield _below(", ".join(own), "dim")
        for fact in _background(self.groups[0]):
            if fact in self._common:
                yield Text(f"all {fact}", "dim")

    def _row(self, group: Group) -> Text:
        row = Text(f"{group.count:>7,}", "bold")
        row.append(f"  {_share(group.count, self._total):>5}  ")
        row.append(fitted(_what(group), self._width), "bold yellow")
        times = f"  {clock(group.first_seen):<{_TIME}}  {clock(group.last_seen)}"
        return row.append(times, "not bold")

    def _sample(self, group: Group) -> Iterator[Text]:
        name, reason = safe(group.sample_id), safe(group.sample_reason)
        if self._brief:
            width = min(cell_len(name), MAX_ID)
            yield _below(fitted(name, width), "dim").append(f"  {reason}", "not dim")
        else:
            yield _below(reason)
            yield _below(f"such as {name}", "dim")


def _what(group: Group) -> str:
    return safe(describe_rule(group.code, group.path))


def _background(group: Group) -> list[str]:
    """The schemas that rejects were validated by, and where they come from."""
    facts = (("validated by", group.schemas), ("sent to", group.origins))
    return [f"{what} {safe(', '.join(names))}" for what, names in facts if names]


def _below(text: str, style: str = "") -> Text:
    return Text(" " * _COLUMN).append(text, style)


def _share(count: int, total: int) -> str:
    percent = round(100 * count / total)
    return "<1%" if percent == 0 else f"{percent}%"
