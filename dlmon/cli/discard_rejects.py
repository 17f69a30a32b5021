from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlmon.cli import reject_options
from dlmon.cli.command import described_as, takes_settings
from dlmon.cli.options import BROKER, LOG_LEVEL, VALIDATION
from dlmon.cli.reject_actions import Action
from dlmon.errors import UsageError

if TYPE_CHECKING:
    from dlmon.brokers.base import Broker
    from dlmon.config.settings import Settings
    from dlmon.rejects.actions import Receipt, Run
    from dlmon.rejects.queue import Rejects


@described_as(
    """Remove rejected events for good, or move them to a file.

    Shows what would be removed and asks; where nobody can be asked, needs --yes.

    \b
    Examples:
      dlmon discard-rejects --code not-json --dry-run
      dlmon discard-rejects --id 6f1b6f0e-0f4a-4b0e-9f7e-0b8f3d0a6b1c --export broken.ndjson
      dlmon discard-rejects --all --export rejects.ndjson.gz --yes
    """
)
@takes_settings(BROKER, VALIDATION, LOG_LEVEL)
def discard_rejects(
    settings: Settings,
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
) -> None:
    from dlmon.commands.discard_rejects import discard
    from dlmon.console.rejects.previews import Affected
    from dlmon.rejects.export import RejectsFile
    from dlmon.validation.schema import load_schema
    from dlmon.validation.validator import Validator

    validator = Validator(load_schema(settings.schema), settings.max_event_bytes)
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
