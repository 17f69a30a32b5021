from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlmon.cli.command import described_as, takes_settings
from dlmon.cli.options import BROKER, LOG_LEVEL, UNPACKING, VALIDATION
from dlmon.cli.reject_options import takes_filter
from dlmon.cli.signals import stop_on_signals
from dlmon.cli.used_files import refuse_shared_files
from dlmon.errors import ExitCode, UsageError
from dlmon.runtime.stdio import is_terminal

if TYPE_CHECKING:
    from dlmon.config.settings import Settings
    from dlmon.rejects.filters import RejectFilter
    from dlmon.rejects.rejection import Rejection


@described_as(
    """Look at rejected events, and change nothing.

    Shows them in groups, by what is wrong and where.
    However often you look, from several terminals, every reject stays there.

    \b
    Examples:
      dlmon inspect-rejects
      dlmon inspect-rejects --list --since 1h --code type
      dlmon inspect-rejects --revalidate
      dlmon inspect-rejects --export rejects.ndjson.gz
      dlmon inspect-rejects --queue orders.dead
    """
)
@takes_settings(BROKER, VALIDATION, UNPACKING, LOG_LEVEL)
@takes_filter
def inspect_rejects(
    settings: Settings,
    reject_filter: RejectFilter,
    *,
    list_: Annotated[
        bool, typer.Option("--list", help="One reject a line, the newest first.")
    ] = False,
    oldest_first: Annotated[
        bool, typer.Option("--oldest-first", help="With --list: the oldest first.")
    ] = False,
    show: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help="Everything about one reject, the places that are wrong marked."
        ),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line, as --export writes them.")
    ] = False,
    revalidate: Annotated[
        bool,
        typer.Option(
            "--revalidate",
            help="Validate again: how many would pass now, and why the others would not.",
        ),
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="At most so many groups, lines of --list, or rejects for --json and --export. "
            "Without it: what fits the screen (in a pipe all groups, 50 lines), and all rejects.",
        ),
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the selected rejects to a new file too, bytes exact; .gz compresses.",
        ),
    ] = None,
    queue: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Look at this queue of dead letters instead, which is not dlmon's: by RabbitMQ's "
            "reason and the queue that they were in.",
        ),
    ] = None,
    max_count: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Exit with 1 when more than N are selected."),
    ] = None,
) -> None:
    from dlmon.brokers import open_broker
    from dlmon.commands.configured import configured_validator
    from dlmon.commands.inspect_rejects import look
    from dlmon.console.rejects.summary import progress_bar, show_exported
    from dlmon.console.rejects.views import (
        DetailView,
        GroupView,
        JsonView,
        ListView,
        RevalidationView,
        View,
    )
    from dlmon.messages import Queue
    from dlmon.rejects.dead_letters import from_dead_letter
    from dlmon.rejects.export import RejectsFile

    if sum((list_, show is not None, json, revalidate)) > 1:
        raise UsageError("Choose one of --list, --show, --json and --revalidate.")
    if oldest_first and not list_:
        raise UsageError("--oldest-first goes with --list.")
    if queue is not None:
        settings = _looking_at(queue, settings, reject_filter, revalidate=revalidate)
    refuse_shared_files(settings, written={"--export": export})
    validator = configured_validator(settings)
    where = settings.names.queue(Queue.REJECTS)
    view: View = GroupView(where, limit, foreign=queue is not None)
    if list_:
        view = ListView(limit, oldest=oldest_first)
    elif show is not None:
        reject_filter = replace(reject_filter, ids=frozenset({show}))
        view = DetailView(validator)
    elif json:
        view = JsonView()
    elif revalidate:
        view = RevalidationView(where, validator, limit)

    with ExitStack() as stack:
        stop = stack.enter_context(stop_on_signals())
        broker = stack.enter_context(open_broker(settings, stop))
        file = stack.enter_context(RejectsFile(export)) if export is not None else None
        # A progress bar would stand between the lines.
        mixed = json and is_terminal(sys.stdout)
        on_progress = stack.enter_context(progress_bar("looking at rejects", hidden=mixed))

        def visit(rejections: Sequence[Rejection]) -> None:
            view.visit(rejections)
            if file is not None:
                file.write(rejections)

        looked = look(
            broker,
            validator,
            reject_filter,
            visit,
            stop=stop,
            on_progress=on_progress,
            limit=limit if json or file is not None else None,
            read=None if queue is None else from_dead_letter,
        )
        if file is not None:
            file.sync()
    view.finish(looked)
    if export is not None:
        show_exported(looked.selected, export)
    if looked.interrupted:
        raise typer.Exit(ExitCode.INTERRUPTED)
    if show is not None and not looked.selected:
        raise UsageError(f"No reject has the message id {show!r}: look at --list.")
    if max_count is not None and looked.count(everything=reject_filter.everything) > max_count:
        raise typer.Exit(ExitCode.INVALID_DATA)


def _looking_at(
    queue: str, settings: Settings, reject_filter: RejectFilter, *, revalidate: bool
) -> Settings:
    """Settings by which nothing but this queue has to be there, and nothing is created."""
    from dlmon.config.urls import LocalAddress

    if revalidate or reject_filter.paths or reject_filter.schema_versions:
        raise UsageError(
            "--queue: dead letters of others have no schema and no violations. Leave out "
            "--revalidate, --path and --schema-version."
        )
    if isinstance(settings.broker, LocalAddress):
        raise UsageError("--queue is for RabbitMQ: the local broker has no other queues.")
    return replace(settings, arrivals=(queue,), rejects=queue, declare=False)
