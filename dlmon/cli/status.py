from __future__ import annotations

from typing import Annotated

import typer

from dlmon.cli import options
from dlmon.cli.signals import stop_on_signals
from dlmon.errors import ExitCode, UsageError

_INTERVAL = 2.0


def status(
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
    broker: options.Broker = None,
    namespace: options.Namespace = None,
    declare: options.Declare = None,
    wait: options.Wait = None,
    config: options.Config = None,
    log_level: options.LogLevel = None,
) -> None:
    """See how many events wait, and how many were rejected.

    Exits with 0 when the broker answers, so that it can serve as a health check.

    \b
    Examples:
      dlmon status
      dlmon status --watch
      dlmon status --max-rejects 100 --json
    """
    from contextlib import ExitStack

    from dlmon.brokers import open_broker
    from dlmon.commands import status as command
    from dlmon.config.settings import load_settings
    from dlmon.console import status as console
    from dlmon.messages import Queue
    from dlmon.runtime.logging import configure_logging

    if watch and (max_arrivals is not None or max_rejects is not None):
        raise UsageError("--watch never ends by itself: leave it out with --max-...")
    settings = load_settings(
        {
            "broker": broker,
            "namespace": namespace,
            "declare": declare,
            "wait": wait,
            "log_level": log_level,
        },
        config=config,
    )
    configure_logging(settings.log_level)
    where = str(settings.broker)
    with ExitStack() as opened:
        stop = opened.enter_context(stop_on_signals())
        source = opened.enter_context(open_broker(settings, stop))
        looks = command.watch(source, stop, _INTERVAL) if watch else iter((command.look(source),))
        show = opened.enter_context(console.watch(settings.namespace, where))
        for now in looks:
            if json:
                console.show_json(now, settings.namespace)
            else:
                show(now)
    for queue, most in ((Queue.ARRIVALS, max_arrivals), (Queue.REJECTS, max_rejects)):
        if most is not None and now.depths[queue].ready > most:
            raise typer.Exit(ExitCode.INVALID_DATA)
