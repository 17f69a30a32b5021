"""Options that the commands on rejects share: the filters, and how an action is done."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlmon.cli.command import takes
from dlmon.cli.options import Options
from dlmon.errors import UsageError

if TYPE_CHECKING:
    from dlmon.rejects.filters import RejectFilter

_FILTERS_PANEL = "Filters (of one kind any must match, of several kinds all)"

_FILTERS: Options = {
    "code": Annotated[
        list[str] | None,
        typer.Option(
            "--code",
            metavar="CODE",
            help="Rejected with this code, as grouped.",
            rich_help_panel=_FILTERS_PANEL,
        ),
    ],
    "path": Annotated[
        list[str] | None,
        typer.Option(
            "--path",
            metavar="POINTER",
            help="Wrong at this JSON Pointer, as grouped; '' is the whole event.",
            rich_help_panel=_FILTERS_PANEL,
        ),
    ],
    "since": Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="TIME",
            help="Rejected at or after: RFC 3339, or how long ago (90s, 15m, 2h, 3d).",
            rich_help_panel=_FILTERS_PANEL,
        ),
    ],
    "until": Annotated[
        str | None,
        typer.Option(
            "--until",
            metavar="TIME",
            help="Rejected at or before, likewise.",
            rich_help_panel=_FILTERS_PANEL,
        ),
    ],
    "contains": Annotated[
        str | None,
        typer.Option(
            "--contains",
            metavar="TEXT",
            help="With this text in the event or in the reason.",
            rich_help_panel=_FILTERS_PANEL,
        ),
    ],
    "message_id": Annotated[
        list[str] | None,
        typer.Option(
            "--id", metavar="ID", help="With this message id.", rich_help_panel=_FILTERS_PANEL
        ),
    ],
    "schema_version": Annotated[
        list[str] | None,
        typer.Option(
            "--schema-version",
            metavar="VERSION",
            help="Rejected by this version of the schema: its $id, its digest or both.",
            rich_help_panel=_FILTERS_PANEL,
        ),
    ],
}

_ACTION: Options = {
    "limit": Annotated[
        int | None,
        typer.Option("--limit", min=1, metavar="N", help="Do it to at most so many."),
    ],
    "yes": Annotated[bool | None, typer.Option("--yes", "-y", help="Do not ask.")],
    "dry_run": Annotated[
        bool | None,
        typer.Option("--dry-run", help="Show what would be done, and change nothing."),
    ],
    "queue": Annotated[
        str | None,
        typer.Option("--queue", hidden=True, help="Refused in words: see inspect-rejects --queue."),
    ],
    "receipt": Annotated[
        Path | None,
        typer.Option(
            "--receipt",
            metavar="FILE",
            help="Append what became of each selected reject, one JSON object a line.",
        ),
    ],
}


@dataclass(frozen=True, slots=True)
class ActionOptions:
    """How an action on rejects is done.

    limit: to how many at most. yes: without asking. dry_run: only show what would be done. receipt:
    a file to append what became of each reject to.
    """

    limit: int | None
    yes: bool | None
    dry_run: bool | None
    receipt: Path | None


def takes_filter(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the filters; its parameter `reject_filter` is a `RejectFilter`."""
    return takes("reject_filter", _FILTERS, _make_filter)(function)


def takes_action(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of actions; its parameter `options` is an `ActionOptions`."""
    return takes("options", _ACTION, _make_action)(function)


def _make_action(*, queue: str | None, **given: Any) -> ActionOptions:
    if queue is not None:
        raise UsageError(
            "--queue only looks, in inspect-rejects: nothing is done to dead letters of others. "
            "Name a queue with dlmon's own rejects with --rejects."
        )
    return ActionOptions(**given)


def _make_filter(
    *,
    code: list[str] | None,
    path: list[str] | None,
    since: str | None,
    until: str | None,
    contains: str | None,
    message_id: list[str] | None,
    schema_version: list[str] | None,
) -> RejectFilter:
    from dlmon.rejects.filters import RejectFilter

    for pointer in path or ():
        if pointer and not pointer.startswith("/"):
            raise UsageError(f"--path: a JSON Pointer begins with a slash: /{pointer}")
    now = time.time_ns() // 1_000_000
    return RejectFilter(
        codes=frozenset(code or ()),
        paths=frozenset(path or ()),
        since=_moment("--since", since, now),
        until=_moment("--until", until, now),
        contains=contains,
        ids=frozenset(message_id or ()),
        schema_versions=frozenset(schema_version or ()),
    )


def _moment(option: str, text: str | None, now: int) -> int | None:
    from dlmon.runtime.timestamps import parse_moment

    try:
        return None if text is None else parse_moment(text, now)
    except ValueError as error:
        raise UsageError(
            f"{option}: {error}. Write 2026-03-01T03:00:00Z, or how long ago: 15m, 2h, 3d."
        ) from error
