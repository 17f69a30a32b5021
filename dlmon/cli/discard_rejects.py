from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlmon.cli.command import described_as, takes_settings
from dlmon.cli.options import BROKER, LOG_LEVEL, VALIDATION
from dlmon.cli.reject_actions import RejectAction
from dlmon.cli.reject_options import ActionOptions, takes_action, takes_filter
from dlmon.cli.used_files import refuse_shared_files
from dlmon.errors import UsageError

if TYPE_CHECKING:
    from dlmon.brokers.base import Broker
    from dlmon.config.settings import Settings
    from dlmon.rejects.actions import Run
    from dlmon.rejects.filters import RejectFilter
    from dlmon.rejects.queue import Rejects
    from dlmon.rejects.receipt import Receipt


@described_as(
    """Remove rejected events for good, or move them to a file.

    Shows what would be removed and asks; without a terminal, it needs --yes.

    \b
    Examples:
      dlmon discard-rejects --code not-json --dry-run
      dlmon discard-rejects --id 6f1b6f0e-0f4a-4b0e-9f7e-0b8f3d0a6b1c --export broken.ndjson
      dlmon discard-rejects --all --export rejects.ndjson.gz --yes
    """
)
@takes_settings(BROKER, VALIDATION, LOG_LEVEL)
@takes_action
@takes_filter
def discard_rejects(
    settings: Settings,
    options: ActionOptions,
    reject_filter: RejectFilter,
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
) -> None:
    from dlmon.commands.configured import configured_validator
    from dlmon.commands.discard_rejects import discard
    from dlmon.console.rejects.previews import AffectedGroups
    from dlmon.rejects.export import RejectsFile

    validator = configured_validator(settings)
    if reject_filter.everything != all_:
        raise UsageError("Say which rejects to discard by a filter, or all of them by --all.")
    refuse_shared_files(settings, written={"--receipt": options.receipt, "--export": export})
    affected = AffectedGroups()

    def act(_broker: Broker, rejects: Rejects, run: Run) -> Receipt:
        if export is None or run.dry_run:
            return discard(rejects, reject_filter, run, preview=affected.add)
        with RejectsFile(export) as file:
            return discard(rejects, reject_filter, run, export=file)

    RejectAction(
        settings,
        validator,
        act,
        verb="discard" if export is None else "move",
        done="discarded" if export is None else "moved",
        show_preview=affected.show,
    ).execute(options)
