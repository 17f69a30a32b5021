"""Options that the commands on rejects share: the same filters everywhere."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from dlmon.errors import UsageError

if TYPE_CHECKING:
    from dlmon.rejects.filters import RejectFilter

_FILTERS_PANEL = "Filters (of one kind any must match, of several kinds all)"

Code: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CODE", help="Rejected with this code, as grouped.", rich_help_panel=_FILTERS_PANEL
    ),
]
PathFilter: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--path",
        metavar="POINTER",
        help="Wrong at this JSON Pointer, as grouped; '' is the whole event.",
        rich_help_panel=_FILTERS_PANEL,
    ),
]
Since: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Rejected at or after: RFC 3339, or how long ago (90s, 15m, 2h, 3d).",
        rich_help_panel=_FILTERS_PANEL,
    ),
]
Until: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="TIME", help="Rejected at or before, likewise.", rich_help_panel=_FILTERS_PANEL
    ),
]
Contains: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT",
        help="With this text in the event or in the reason.",
        rich_help_panel=_FILTERS_PANEL,
    ),
]
MessageId: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--id", metavar="ID", help="With this message id.", rich_help_panel=_FILTERS_PANEL
    ),
]
SchemaVersion: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="VERSION",
        help="Rejected by this version of the schema: its $id, its digest or both.",
        rich_help_panel=_FILTERS_PANEL,
    ),
]

Limit: TypeAlias = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Do it to at most so many.")
]
Yes: TypeAlias = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun: TypeAlias = Annotated[
    bool, typer.Option("--dry-run", help="Show what would be done, and change nothing.")
]
ReceiptFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--receipt",
        metavar="FILE",
        help="Append what became of each selected reject, one JSON object a line.",
    ),
]


def selection(
    *,
    code: list[str] | None,
    path: list[str] | None,
    since: str | None,
    until: str | None,
    contains: str | None,
    message_id: list[str] | None,
    schema_version: list[str] | None,
) -> RejectFilter:
    """The filters as one value.

    Raises: UsageError.
    """
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
