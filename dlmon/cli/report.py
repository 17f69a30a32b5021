from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlmon.cli.command import described_as, takes_settings
from dlmon.cli.files import one_of
from dlmon.cli.options import LOG_LEVEL, STORE
from dlmon.cli.signals import stop_on_signals
from dlmon.errors import UsageError

if TYPE_CHECKING:
    from dlmon.analysis.report import Question
    from dlmon.config.settings import Settings

_OUTPUTS = ("text", "csv", "ndjson", "json", "html", "parquet")


@described_as(
    """See how fast the downloads in the store were, when and where.

    Reads SQLite and PostgreSQL: the first report summarises all events, in a file beside the
    store or in your data folder. Later ones read what has come since. A ClickHouse server
    counts by itself. Times are in UTC, in whole hours.

    \b
    Examples:
      dlmon report
      dlmon report --by country --since 30d
      dlmon report --by cell --where country=IE --threshold 25
      dlmon report --by country --map
      dlmon report --anomalies --since 7d
      dlmon report --by day --since 2026-03-01 --until 2026-04-01 --output csv
      dlmon report --since 7d --output html > downloads.html
      dlmon report --since 30d --output parquet --events --to downloads.parquet
    """
)
@takes_settings(STORE, LOG_LEVEL)
def report(
    settings: Settings,
    *,
    since: Annotated[
        str,
        typer.Option(
            metavar="TIME", help="From when on: 24h, 30d, 2026-03-01 or 2026-03-01T12:00:00Z."
        ),
    ] = "24h",
    until: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Up to when; in the same forms. Default: now."),
    ] = None,
    by: Annotated[
        str,
        typer.Option(
            metavar="WHAT", help="hour, day, country, continent, cell (39 x 20 km) or size."
        ),
    ] = "hour",
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHAT=VALUE",
            help="Only downloads of country=IE, continent=EU or cell=gc7x; can be repeated.",
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(min=0, metavar="MBIT", help="Show the share of downloads that are slower."),
    ] = None,
    min_count: Annotated[
        int,
        typer.Option(min=1, metavar="N", help="Leave out cells with fewer downloads."),
    ] = 5,
    exact: Annotated[
        bool,
        typer.Option(
            "--exact",
            help="Read the events, not summaries: slow, and percentiles to the last digit.",
        ),
    ] = False,
    map_: Annotated[
        bool, typer.Option("--map", help="Draw a map of the world too, coloured by median speed.")
    ] = False,
    anomalies: Annotated[
        bool,
        typer.Option(
            "--anomalies",
            help="Show where downloads were slower than at the same hour of the weeks before, or "
            "missing, and since when.",
        ),
    ] = False,
    output: Annotated[
        str, typer.Option(metavar="FORMAT", help="text, csv, ndjson, json, html or parquet.")
    ] = "text",
    events: Annotated[
        bool,
        typer.Option("--events", help="Write the events themselves, with --output parquet."),
    ] = False,
    to: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where they are written: a new file."),
    ] = None,
) -> None:
    from contextlib import ExitStack

    from dlmon.analysis.questions import make_question
    from dlmon.analysis.summaries import Summaries
    from dlmon.cli.used_files import refuse_shared_files
    from dlmon.commands import report as command
    from dlmon.console.progress import counting
    from dlmon.console.report import show_anomalies, show_report
    from dlmon.console.report.world_map import map_size
    from dlmon.stores import open_event_reader
    from dlmon.stores.reading import SqlReader

    if sys.stdout is None:  # Python's sign that the process was started without one
        raise UsageError("There is no stdout to write to: it was closed at the start.")
    output = one_of("--output", output, _OUTPUTS)
    question = make_question(
        since, until, by, where or (), threshold=threshold, min_count=min_count
    )
    if anomalies and (exact or where or threshold is not None):
        raise UsageError(
            "--anomalies looks everywhere: leave out --where, --threshold and --exact."
        )
    if anomalies and settings.store.url.startswith("clickhouse"):
        raise UsageError("--anomalies reads SQLite and PostgreSQL, and not ClickHouse: --store.")
    if map_ and (anomalies or exact or output != "text"):
        raise UsageError("--map goes with --output text, and not with --anomalies or --exact.")
    if anomalies and output == "html":
        raise UsageError("--anomalies comes as text, csv, ndjson or json.")
    if to is not None and output != "parquet":
        raise UsageError(f"--to is for Parquet: write {output} to a file by > FILE.")
    if output == "parquet" or events:
        if output != "parquet" or not events or to is None or anomalies or exact:
            raise UsageError(
                "Parquet holds events, in a file: --output parquet --events --to FILE, without "
                "--anomalies and --exact."
            )
        _write_events(settings, question, to)
        return
    with ExitStack() as opened:
        stop = opened.enter_context(stop_on_signals("the next report goes on from there"))
        reader = open_event_reader(settings.store)
        opened.enter_context(reader)
        size = map_size() if map_ else None
        if exact:
            result = command.report_exactly(question, reader, stop)
        elif isinstance(reader, SqlReader):
            result = command.report_by_server(
                question, reader, stop, map_size=size, with_countries=output == "html"
            )
        else:
            path = command.summaries_file(settings.store)
            refuse_shared_files(settings, written={"the summaries of the store": path})
            summaries = opened.enter_context(Summaries(path))
            with counting("summarising events") as on_progress:
                if anomalies:
                    found = command.report_anomalies(question, reader, summaries, stop, on_progress)
                    opened.callback(show_anomalies, found, output)
                    return
                result = command.report(
                    question,
                    reader,
                    summaries,
                    stop,
                    on_progress=on_progress,
                    map_size=size,
                    with_countries=output == "html",
                )
    show_report(result, output)


def _write_events(settings: Settings, question: Question, path: Path) -> None:
    from dlmon.cli.used_files import refuse_shared_files
    from dlmon.commands.report import summaries_file
    from dlmon.console.report.events import show_written
    from dlmon.stores import open_event_reader

    if path == Path("-"):
        raise UsageError("--to: Parquet is written to a file, and not to stdout: name one.")
    written = {"the summaries of the store": summaries_file(settings.store), "--to": path}
    refuse_shared_files(settings, written=written)

    try:
        from dlmon.commands.event_table import write_events
    except ImportError as error:
        raise UsageError(
            "Parquet needs a library that is not installed: pip install 'dlmon[parquet]'"
        ) from error
    with (
        stop_on_signals("there will be no file") as stop,
        open_event_reader(settings.store) as reader,
    ):
        count = write_events(question, reader, path, stop)
    show_written(count, path)
