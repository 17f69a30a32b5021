from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlmon.cli.command import described_as, takes_settings
from dlmon.cli.files import one_of
from dlmon.cli.options import BROKER, LOG_LEVEL, STORE, VALIDATION
from dlmon.cli.signals import stop_on_signals
from dlmon.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from dlmon.config.settings import Settings

_PLACES = ("store", "rejects")


@described_as(
    """Try another schema on what was collected, and change nothing.

    Shows which stored events it would reject, and which rejects it would let pass, in the groups
    of inspect-rejects. Exits with 1 when a stored event would be rejected. Reads SQLite and
    PostgreSQL.

    \b
    Examples:
      dlmon try-schema new.schema.json
      dlmon try-schema new.schema.json --from 30d --only store
      dlmon try-schema new.schema.json --schema old.schema.json --json
    """
)
@takes_settings(STORE, BROKER, VALIDATION, LOG_LEVEL)
def try_schema(
    settings: Settings,
    *,
    tried: Annotated[
        Path, typer.Argument(metavar="SCHEMA", help="The JSON Schema to try.", show_default=False)
    ],
    from_: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="TIME",
            help="From when on events count: 24h, 7d, or 2026-03-01T12:00:00Z.",
        ),
    ] = "7d",
    only: Annotated[
        str | None,
        typer.Option(metavar="WHAT", help="store or rejects: leave the other one alone."),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="At most so many groups of each kind."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    import time
    from contextlib import ExitStack
    from dataclasses import replace

    from dlmon.brokers import open_broker
    from dlmon.commands.configured import configured_validator
    from dlmon.commands.try_schema import Schemas, try_on_rejects, try_on_store
    from dlmon.console.progress import counting
    from dlmon.console.rejects.summary import progress_bar
    from dlmon.console.try_schema import show_json, show_trials
    from dlmon.runtime.timestamps import parse_moment
    from dlmon.stores import open_reader

    wanted = _PLACES if only is None else (one_of("--only", only, _PLACES),)
    try:
        start = parse_moment(from_, time.time_ns() // 1_000_000)
    except ValueError as error:
        raise UsageError(f"--from: {error}. Write 7d, 24h or 2026-03-01T12:00:00Z.") from error
    current, new = (
        configured_validator(replace(settings, schema=path)) for path in (settings.schema, tried)
    )
    schemas = Schemas(current, new)
    stored = rejects = None
    with ExitStack() as opened:
        stop = opened.enter_context(stop_on_signals("nothing is changed"))
        if "store" in wanted:
            reader = opened.enter_context(open_reader(settings.store))
            with counting("validating stored events") as on_stored:
                stored = try_on_store(schemas, reader, start, stop, on_stored)
        if "rejects" in wanted:
            broker = opened.enter_context(open_broker(settings, stop))
            with progress_bar("validating rejects") as on_rejects:
                rejects = try_on_rejects(schemas, broker, start, stop, on_rejects)
    if json:
        show_json(stored, rejects, start)
    else:
        show_trials(stored, rejects, start, limit)
    if stored is not None and len(stored.newly_rejected):
        raise typer.Exit(ExitCode.INVALID_DATA)
