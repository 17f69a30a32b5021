from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlmon.cli.command import described_as, takes_settings
from dlmon.cli.options import BROKER, LOG_LEVEL, UNPACKING, VALIDATION
from dlmon.cli.reject_actions import RejectAction
from dlmon.cli.reject_options import ActionOptions, takes_action, takes_filter
from dlmon.cli.used_files import refuse_shared_files
from dlmon.rejects import MAX_REPLAYS

if TYPE_CHECKING:
    from dlmon.brokers.base import Broker
    from dlmon.config.settings import Settings
    from dlmon.rejects.actions import Run
    from dlmon.rejects.filters import RejectFilter
    from dlmon.rejects.queue import Rejects
    from dlmon.rejects.receipt import Receipt


@described_as(
    """Put rejected events back on arrivals once they would pass.

    Each is validated again, published, confirmed, and only then removed.
    Shows what would be replayed and asks; without a terminal, it needs --yes.

    \b
    Examples:
      dlmon replay-rejects --dry-run
      dlmon replay-rejects --code type --path /download_speed --patch '.download_speed |= tonumber'
      dlmon replay-rejects --from mended.ndjson --yes
    """
)
@takes_settings(BROKER, VALIDATION, UNPACKING, LOG_LEVEL)
@takes_action
@takes_filter
def replay_rejects(
    settings: Settings,
    options: ActionOptions,
    reject_filter: RejectFilter,
    *,
    patch: Annotated[
        str | None,
        typer.Option(
            metavar="EXPR", help="Correct each event by this jq expression before it is validated."
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
    ] = MAX_REPLAYS,
    rate: Annotated[
        float | None,
        typer.Option(min=0.001, metavar="N", help="At most so many a second."),
    ] = None,
) -> None:
    from dlmon.commands.configured import configured_validator
    from dlmon.commands.replay_rejects import Rules, replay
    from dlmon.console.rejects.previews import AffectedGroups, PatchDifferences
    from dlmon.rejects.patch import Patch

    refuse_shared_files(
        settings,
        written={"--receipt": options.receipt},
        read={"--from": [source] if source else []},
    )
    validator = configured_validator(settings)
    preview = AffectedGroups() if patch is None else PatchDifferences()
    with ExitStack() as stack:
        rules = Rules(
            validator,
            reject_filter,
            even_invalid,
            max_replays,
            None if patch is None else stack.enter_context(Patch(patch, settings.max_event_bytes)),
        )

        def act(broker: Broker, rejects: Rejects, run: Run) -> Receipt:
            on_replay = preview.add if run.dry_run else None
            return replay(rejects, broker, rules, run, rate=rate, on_replay=on_replay)

        RejectAction(
            settings,
            validator,
            act,
            verb="replay",
            done="replayed",
            show_preview=preview.show,
            source=source,
        ).execute(options)
