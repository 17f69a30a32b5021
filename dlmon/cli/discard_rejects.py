from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlmon.cli import options, reject_options
from dlmon.cli.reject_actions import Action
from dlmon.errors import UsageError

if TYPE_CHECKING:
    from dlmon.brokers.base import Broker
    from dlmon.rejects.actions import Receipt, Run
    from dlmon.rejects.queue import Rejects


def discard_rejects(
    *,
    all_: Annotated[
        bool, typer.Option("--all", help="All rejects; otherwise a filter is needed.")
    ] = False,
    export: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Move them to a new file: only what the disk has safely is removed. "
            ".gz compresses; replay-rejects --from reads it.",
        ),
    ] = None,
    limit: reject_options.Limit = None,
    yes: reject_options.Yes = False,
    dry_run: reject_options.DryRun = False,
    receipt: reject_options.ReceiptFile = None,
    code: reject_options.Code = None,
    path: reject_options.PathFilter = None,
    since: reject_options.Since = None,
    until: reject_options.Until = None,
    contains: reject_options.Contains = None,
    message_id: reject_options.MessageId = None,
    schema_version: reject_options.SchemaVersion = None,
    broker: options.Broker = None,
    namespace: options.Namespace = None,
    declare: options.Declare = None,
    wait: options.Wait = None,
    schema: options.SchemaFile = None,
    max_event_bytes: options.MaxEventBytes = None,
    config: options.Config = None,
    log_level: options.LogLevel = None,
) -> None:
    """Remove rejected events for good, or move them to a file.

    Shows what would be removed and asks; where nobody can be asked, needs --yes.

    \b
    Examples:
      dlmon discard-rejects --code not-json --dry-run
      dlmon discard-rejects --id 6f1b6f0e-0f4a-4b0e-9f7e-0b8f3d0a6b1c --export broken.ndjson
      dlmon discard-rejects --all --export rejects.ndjson.gz --yes
    """
    from dlmon.commands.discard_rejects import discard
    from dlmon.console.rejects.previews import Affected
    from dlmon.rejects.export import RejectsFile

    settings, validator = reject_options.prepare(
        broker=broker,
        namespace=namespace,
        declare=declare,
        wait=wait,
        schema=schema,
        max_event_bytes=max_event_bytes,
        config=config,
        log_level=log_level,
    )
    selection = reject_options.selection(
        code=code,
        path=path,
        since=since,
        until=until,
        contains=contains,
        message_id=message_id,
        schema_version=schema_version,
    )
    if selection.everything != all_:
        raise UsageError("Say which rejects to discard by a filter, or all of them by --all.")

    affected = Affected()

    def act(_broker: Broker, rejects: Rejects, run: Run) -> Receipt:
        if export is None or run.dry_run:
            return discard(rejects, selection, run, preview=affected.add)
        with RejectsFile(export) as file:
            return discard(rejects, selection, run, export=file)

    Action(
        settings,
        validator,
        act,
        verb="discard" if export is None else "move",
        done="discarded" if export is None else "moved",
        limit=limit,
        receipt=receipt,
        preview=affected.show,
    ).carry_out(yes=yes, dry_run=dry_run)
