from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dlmon.cli import options
from dlmon.cli.signals import stop_on_signals


def validate_file(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files, or - for stdin.")],
    *,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    schema: options.SchemaFile = None,
    max_event_bytes: options.MaxEventBytes = None,
    config: options.Config = None,
) -> None:
    """Judge files of events, and say where they break the rules.

    NDJSON, JSON and arrays of events, as they are or packed with gzip or zstd. Exits with 1 when
    anything is wrong, with 2 when a file cannot be read.

    \b
    Examples:
      dlmon validate-file events.ndjson
      zcat events.ndjson.gz | dlmon validate-file - --json
    """
    from dlmon.commands import validate_file as command
    from dlmon.console import findings as console
    from dlmon.findings import BlockJudge
    from dlmon.settings import load_settings
    from dlmon.validation import Validator, load_schema

    settings = load_settings({"schema": schema, "max_event_bytes": max_event_bytes}, config=config)
    validator = Validator(load_schema(settings.schema), settings.max_event_bytes)
    report = console.JsonReport() if json else console.TextReport()
    with stop_on_signals() as stop:
        result = command.validate_files(
            files,
            BlockJudge(validator),
            report,
            stop,
            limit=settings.max_event_bytes,
            max_errors=None if json else 100,
        )
    report.finish(result)
    raise typer.Exit(result.exit_code)
