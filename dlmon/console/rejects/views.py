"""What `inspect-rejects` collects while it looks, and shows at the end. Bodies are not kept."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Protocol

from dlmon.commands.inspect_rejects import Look
from dlmon.console.rejects.detail import show_rejection
from dlmon.console.rejects.group_table import Surroundings, show_groups
from dlmon.console.rejects.summary import (
    Notes,
    list_limit,
    show_hint,
    show_list,
    show_look,
    show_revalidation,
)
from dlmon.errors import FileError
from dlmon.rejects.export import to_line
from dlmon.rejects.groups import Groups, Latest, Revalidation
from dlmon.rejects.rejection import Rejection, revalidate
from dlmon.runtime.text import escape_json
from dlmon.validation.validator import Validator

_MAX_DETAILS = 10
_MORE = "--limit {} shows all"


class View(Protocol):
    """One way of looking at rejects."""

    def visit(self, rejections: Sequence[Rejection]) -> None:
        """Take some more of them."""

    def finish(self, look: Look) -> None:
        """Show what was collected."""


class GroupView:
    """Groups by code and path."""

    def __init__(self, queue: str, limit: int | None, *, foreign: bool = False) -> None:
        """queue: its name, for people. limit: of groups; None for as many as fit the screen.

        foreign: it has dead letters of others, which are grouped by where they come from too.
        """
        self._queue = queue
        self._limit = limit
        self._groups = Groups(by_origin=foreign)
        self._hint = "One of them: --show ID."
        if not foreign:
            self._hint += " What would pass now: --revalidate."

    def visit(self, rejections: Sequence[Rejection]) -> None:
        for rejection in rejections:
            self._groups.add(rejection)

    def finish(self, look: Look) -> None:
        notes = Notes(look)
        show_look(look, self._queue)
        show_groups(self._groups, self._limit, Surroundings(2 + notes.height, _MORE))
        if len(self._groups):
            show_hint(self._hint)
        notes.show()


class RevalidationView:
    """How many would pass now, and groups of the others by what still fails."""

    def __init__(self, queue: str, validator: Validator, limit: int | None) -> None:
        """limit: of groups; None for as many as fit the screen."""
        self._queue = queue
        self._validator = validator
        self._limit = limit
        self._result = Revalidation()

    def visit(self, rejections: Sequence[Rejection]) -> None:
        for rejection in rejections:
            self._result.add(rejection, revalidate(rejection, self._validator))

    def finish(self, look: Look) -> None:
        notes = Notes(look)
        show_look(look, self._queue)
        show_revalidation(self._result.passing, look.selected)
        show_groups(self._result.failing, self._limit, Surroundings(3 + notes.height, _MORE))
        if self._result.passing:
            show_hint("Those that pass go back by replay-rejects, with the same filters.")
        notes.show()


class ListView:
    """One reject a line."""

    def __init__(self, limit: int | None, *, oldest: bool) -> None:
        """limit: of lines; None for as many as fit the screen."""
        self._latest = Latest(limit or list_limit(), oldest=oldest)

    def visit(self, rejections: Sequence[Rejection]) -> None:
        for rejection in rejections:
            self._latest.add(rejection)

    def finish(self, look: Look) -> None:
        rejections = self._latest.in_order()
        show_list(rejections)
        Notes(look, shown=len(rejections)).show()


class DetailView:
    """Everything about the rejects with one message id, which can be several."""

    def __init__(self, validator: Validator) -> None:
        self._validator = validator
        self._found: list[Rejection] = []

    def visit(self, rejections: Sequence[Rejection]) -> None:
        self._found += rejections[: _MAX_DETAILS - len(self._found)]

    def finish(self, look: Look) -> None:
        for rejection in self._found:
            show_rejection(rejection, self._validator.validate(rejection.body))
        Notes(look, shown=len(self._found)).show()


class JsonView:
    """NDJSON on stdout, while it is read."""

    def __init__(self) -> None:
        """Raises: FileError without a stdout."""
        if sys.stdout is None:  # Python's sign that the process was started without one
            raise FileError("There is no stdout to write to: it was closed at the start.")

    def visit(self, rejections: Sequence[Rejection]) -> None:
        lines = b"".join(map(to_line, rejections))
        if sys.stdout.isatty():
            lines = escape_json(lines.decode()).encode()
        sys.stdout.buffer.write(lines)
        sys.stdout.buffer.flush()

    def finish(self, look: Look) -> None:
        Notes(look).show()
