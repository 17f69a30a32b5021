from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlmon.cli.command import described_as, takes_settings
from dlmon.cli.files import LayoutName, layout_named, one_of
from dlmon.cli.options import VALIDATION
from dlmon.cli.signals import stop_on_signals
from dlmon.cli.used_files import refuse_shared_files
from dlmon.errors import UsageError
from dlmon.runtime.interpreter import tune_gc
from dlmon.runtime.processes import default_jobs

if TYPE_CHECKING:
    from dlmon.config.settings import Settings
    from dlmon.console.reports import FinalReport

_STDOUT = Path("-")
_TEXT = "text"
_OUTPUTS = (_TEXT, "json", "ndjson", "github", "sarif", "junit")
_SHOWN_AS_TEXT = 100


@described_as(
    """Check files of events, and point at what breaks the rules.

    NDJSON, JSON and arrays of events, as they are or packed with gzip or zstd.
    Exits with 1 when something is wrong, with 2 when a file cannot be read to its end.

    \b
    Examples:
      dlmon validate-file events.ndjson
      dlmon validate-file --summary --unique downloads/
      dlmon validate-file --output sarif events.json.gz > findings.sarif
      zcat events.ndjson.gz | dlmon validate-file - --split-valid - | dlmon produce --from -
    """
)
@takes_settings(VALIDATION)
def validate_file(
    settings: Settings,
    files: Annotated[
        list[Path],
        # readable: typer would end at a file that is not, and leave out the others.
        typer.Argument(
            metavar="FILE...",
            help="Files, folders, or - for stdin. Links to folders in a folder are not followed.",
            readable=False,
        ),
    ],
    *,
    output: Annotated[
        str,
        typer.Option(metavar="NAME", help="text, json, ndjson, github, sarif or junit."),
    ] = _TEXT,
    json: Annotated[bool, typer.Option("--json", help="Short for --output json.")] = False,
    summary: Annotated[
        bool, typer.Option("--summary", help="Group findings by code and path; text and json.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Write nothing: the exit code tells.")
    ] = False,
    max_errors: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Show up to N findings of each file, and count the others; 0 shows all. "
            "Default: 100 in text, else all.",
        ),
    ] = None,
    first: Annotated[
        bool, typer.Option("--first", help="Only the first finding of each event.")
    ] = False,
    unique: Annotated[
        bool, typer.Option("--unique", help="Find ids that stand twice, in or across the files.")
    ] = False,
    split_valid: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write valid events to a new file, or - for stdout."),
    ] = None,
    split_invalid: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write invalid events to a new file, or - for stdout."),
    ] = None,
    format_: LayoutName = None,
    glob: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN",
            help="Which files of a folder, and of those in it; several times for several. "
            "Default: *.ndjson, *.jsonl and *.json, packed ones too.",
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1, max=256, metavar="N", help="Processes to check in. Default: one a core."
        ),
    ] = None,
) -> None:
    from dlmon.commands import validate_file as command
    from dlmon.commands.configured import configured_validator
    from dlmon.console.reports.text import (
        progress_bar,
        show_summary,
        show_unreadable,
        show_warning,
    )
    from dlmon.event_files.discovery import DEFAULT_GLOBS, find_files
    from dlmon.event_files.input import total_size

    output = "json" if json else one_of("--output", output, _OUTPUTS)
    layout = layout_named(format_)
    to_stdout = [split_valid, split_invalid].count(_STDOUT)
    if to_stdout > 1 or (to_stdout and output != _TEXT):
        raise UsageError("Only one thing can go to stdout: valid events, invalid ones or findings.")
    # None is Python's sign that the process was started without one.
    if sys.stdout is None and (to_stdout or not quiet):
        raise UsageError("There is no stdout to write to: it was closed at the start.")
    if unique and (split_valid or split_invalid):
        raise UsageError("Repeated ids are known at the end only: split first, then --unique.")
    if summary and output not in (_TEXT, "json"):
        raise UsageError("--summary goes with --output text or json.")
    validator = configured_validator(settings)
    if max_errors is None:
        max_errors = _SHOWN_AS_TEXT if output == _TEXT else 0
    wanted = command.Options(
        layout=layout,
        max_errors=0 if quiet or (summary and output == _TEXT) else max_errors or None,
        first_only=first,
        unique=unique,
        groups=summary,
        jobs=jobs or default_jobs(),
        split_valid=split_valid,
        split_invalid=split_invalid,
    )
    tune_gc()
    found = list(find_files(files, tuple(glob or DEFAULT_GLOBS)))
    refuse_shared_files(
        settings,
        written={"--split-valid": split_valid, "--split-invalid": split_invalid},
        read={"FILE": [one.path for one in found]},
    )
    size = total_size(one.path for one in found if one.error is None)
    with (
        command.start_workers(validator, wanted, size) as workers,
        stop_on_signals("not all events were checked") as stop,
    ):
        # Begun only now: a report that has begun has to be ended, whatever happens.
        report = _report(output, summary=summary, quiet=quiet, to_stderr=bool(to_stdout))
        if workers.start_error is not None and not quiet:
            show_warning(workers.start_error)
        with progress_bar(report, size, hidden=quiet) as progress:
            result = command.validate_files(
                found,
                workers,
                report,
                stop=stop,
                options=wanted,
                limit=settings.max_event_bytes,
                progress=progress,
            )
    with suppress(BrokenPipeError):
        show_unreadable(result)
        if not result.output_closed:
            report.on_end(result)
            if output != _TEXT and not quiet:
                show_summary(result, report.omitted)
            if sys.stdout is not None:
                sys.stdout.flush()
    if result.error is not None:
        raise result.error
    raise typer.Exit(result.exit_code)


def _report(output: str, *, summary: bool, quiet: bool, to_stderr: bool) -> FinalReport:
    from dlmon.console.reports import NoReport, Output, machine_report
    from dlmon.console.reports.text import TextReport

    if quiet:
        return NoReport()
    if output == _TEXT:
        return TextReport(summary=summary, to_stderr=to_stderr)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # whatever the locale says
    # Set by GitHub in each step of a workflow.
    root = Path(os.environ.get("GITHUB_WORKSPACE") or ".")
    return machine_report(Output(output), sys.stdout, root)
