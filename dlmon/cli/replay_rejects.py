from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlmon.cli import reject_options
from dlmon.cli.command import described_as, takes_settings
from dlmon.cli.options import BROKER, LOG_LEVEL, VALIDATION
from dlmon.cli.reject_actions import Action

if TYPE_CHECKING:
    from dlmon.brokers.base import Broker
    from dlmon.config.settings import Settings
    from dlmon.rejects.actions import Receipt, Run
    from dlmon.rejects.queue import Rejects
    from dlmon.rejects.rejection import Rejection


@described_as(
    """Put rejected events back on arrivals once they would pass.

    Each is judged again, published, confirmed, and only then removed.
    Shows what would be replayed and asks; where nobody can be asked, needs --yes.

    \b
    Examples:
      dlmon replay-rejects --dry-run
      dlmon replay-rejects --code type --path /download_speed --patch '.download_speed |= tonumber'
      dlmon replay-rejects --from mended.ndjson --yes
    """
)
@takes_settings(BROKER, VALIDATION, LOG_LEVEL)
def replay_rejects(
    settings: Settings,
    *,
    patch: Annotated[
        str | None,
        typer.Option(
            metavar="EXPR", help="Correct each event by this jq expression before it is judged."
        ),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="Replay from an export file, - for stdin, and leave the queue alone.",
        ),
    ] = None,
    even_invalid: Annotated[
        bool, typer.Option("--even-invalid", help="Replay also what would be rejected again.")
    ] = False,
    max_replays: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            help="Leave alone what was replayed so often, and was rejected each time.",
        ),
    ] = 3,
    rate: Annotated[
        float | None,
        typer.Option(min=0.001, metavar="N", help="At most so many a second."),
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
    from dlmon.commands.replay_rejects import Rules, replay
    from dlmon.console.rejects.previews import Affected, Differences
    from dlmon.rejects.patch import Patch
    from dlmon.validation.schema import load_schema
    from dlmon.validation.validator import Validator

    validator = Validator(load_schema(settings.schema), settings.max_event_bytes)
    rules = Rules(
        validator,
        reject_options.selection(
            code=code,
            path=path,
            since=since,
            until=until,
            contains=contains,
            message_id=message_id,
            schema_version=schema_version,
        ),
        even_invalid,
        max_replays,
        None if patch is None else Patch(patch),
    )
    affected, differences = Affected(), Differences()

    def preview(before: Rejection, after: Rejection) -> None:
        if patch is None:
            affected.add(before)
        else:
            differences.add(before, after)

    def show_preview(would_be: Receipt) -> None:
        if patch is None:
            affected.show(would_be)
        else:
            differences.show(would_be)

    def act(broker: Broker, rejects: Rejects, run: Run) -> Receipt:
        return replay(
            rejects, broker, rules, run, rate=rate, preview=preview if run.dry_run else None
        )

    Action(
        settings,
        validator,
        act,
        verb="replay",
        done="replayed",
        limit=limit,
        receipt=receipt,
        source=source,
        preview=show_preview,
    ).carry_out(yes=yes, dry_run=dry_run)
