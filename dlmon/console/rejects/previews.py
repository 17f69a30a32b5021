"""What an action would do, on a screen that shows its receipt and its question below."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from itertools import islice

from rich.text import Text

from dlmon.console.lines import print_line, stdout
from dlmon.console.rejects.group_table import PROMPT_LINES, Surroundings, show_groups
from dlmon.console.rejects.summary import receipt_height
from dlmon.console.text import counted, safe
from dlmon.rejects.groups import Groups
from dlmon.rejects.receipt import Receipt
from dlmon.rejects.rejection import Rejection
from dlmon.validation.json_positions import indent

MAX_DIFFERENCES = 3
"""Events of which a dry run shows what a patch changes."""


class AffectedGroups:
    """Groups of the rejects that an action would be done to."""

    def __init__(self) -> None:
        self._groups = Groups()

    def add(self, rejection: Rejection, _replayed: Rejection | None = None) -> None:
        self._groups.add(rejection)

    def show(self, would_be: Receipt) -> None:
        around = Surroundings(receipt_height(would_be), "inspect-rejects --limit {} shows all")
        show_groups(self._groups, None, around)


class PatchDifferences:
    """What a patch changes in the first few events that it changes."""

    def __init__(self) -> None:
        self._pairs: list[tuple[Rejection, Rejection]] = []
        self._changed = 0
        self._unchanged = 0

    def add(self, before: Rejection, after: Rejection) -> None:
        if before.body == after.body:
            self._unchanged += 1
            return
        self._changed += 1
        if len(self._pairs) < MAX_DIFFERENCES:
            self._pairs.append((before, after))

    def show(self, would_be: Receipt) -> None:
        """A unified diff of each, without its header, as far as the screen has room."""
        console = stdout()
        room = console.height - receipt_height(would_be) - PROMPT_LINES - 1
        shown = 0
        for before, after in self._pairs:
            lines = list(_difference(before, after))
            room -= len(lines)
            if shown and room < 0 and console.is_terminal:
                break
            for line in lines:
                print_line(console, line, wrap=True)
            shown += 1
        rest = []
        if more := self._changed - shown:
            rest.append(counted(more, "more event"))
        if self._unchanged:
            rest.append(f"{counted(self._unchanged, 'event')} without a change")
        if rest:
            print_line(console, Text(f"And {', and '.join(rest)}.", "dim"))


def _difference(before: Rejection, after: Rejection) -> Iterator[Text]:
    yield Text(safe(before.message_id), "bold")
    old, new = (indent(one.body).decode().split("\n") for one in (before, after))
    for line in islice(difflib.unified_diff(old, new, lineterm="", n=1), 2, None):
        if not line.startswith("@@"):
            style = {"+": "green", "-": "red"}.get(line[0], "dim")
            yield Text(f"  {line[0]} {safe(line[1:])}", style)
