"""Options about the form of events, in files and messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from dlmon.errors import UsageError

if TYPE_CHECKING:
    from dlmon.event_files.detect import Layout

_LAYOUTS = ("ndjson", "json", "array")

LayoutName: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="NAME",
        help="ndjson: an event a line. json: an event in each text. array: arrays of events. "
        "Default: detected in each file.",
    ),
]


def layout_named(name: str | None) -> Layout | None:
    """The layout that `--format` names. Raises: UsageError."""
    from dlmon.event_files.detect import Layout

    return None if name is None else Layout(one_of("--format", name, _LAYOUTS))


def encoding_named(name: str | None) -> str | None:
    """The encoding that `--compress` names. Raises: UsageError."""
    from dlmon.sources.packing import ENCODINGS

    if name is not None and name not in ENCODINGS:
        raise UsageError(f"--compress: expected {' or '.join(ENCODINGS)}, got {name!r}.")
    return name


def one_of(option: str, given: str, names: tuple[str, ...]) -> str:
    """The given name. Raises: UsageError when it is not one of `names`."""
    if given not in names:
        raise UsageError(f"{option} {given}: choose one of {', '.join(names)}.")
    return given
