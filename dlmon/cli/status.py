from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dlmon.cli.command import described_as, takes_settings
from dlmon.cli.options import BROKER, LOG_LEVEL
from dlmon.cli.signals import stop_on_signals
from dlmon.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from dlmon.config.settings import Settings

_INTERVAL = 2.0


@described_as(
    """See how many events wait, and how many were rejected.

    Exits with 0 when the broker answers, so that it can serve as a health check.

    \b
    Examples:
      dlmon status
      dlmon status --watch
      dlmon status --max-rejects 100 --json
    """
)
@takes_settings(BROKER, LOG_LEVEL)
def status(
    settings: Settings,
    *,
    watch: Annotated[
        bool, typer.Option("--watch", help="Look every two seconds, until Ctrl-C.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object for each look.")] = False,
    max_arrivals: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Exit with 1 when more than N events wait."),
    ] = None,
    max_rejects: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Exit with 1 when there are more than N rejects."),
    ] = None,
) -> None:
    from contextlib import ExitStack

    from dlmon.brokers import open_broker
    from dlmon.commands import status as command
    from dlmon.console import status as console
    from dlmon.messages import Queue

    if watch and (max_arrivals is not None or max_rejects is not None):
        raise UsageError("--watch never ends by itself: leave it out with --max-...")
    where = str(settings.broker)
    with ExitStack() as opened:
        stop = opened.enter_context(stop_on_signals())
        source = opened.enter_context(open_broker(settings, stop))
        looks = command.watch(source, stop, _INTERVAL) if watch else iter((command.look(source),))
        show = opened.enter_context(console.watch(settings.names, where))
        for now in looks:
            if json:
                console.show_json(now, settings.names)
            else:
                show(now)
    for queue, most in ((Queue.ARRIVALS, max_arrivals), (Queue.REJECTS, max_rejects)):
        if most is not None and now.depths[queue].ready > most:
            raise typer.Exit(ExitCode.INVALID_DATA)
