from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlmon.cli.command import described_as, takes_settings
from dlmon.cli.options import BROKER, LOGGING, METRICS
from dlmon.cli.signals import stop_on_signals
from dlmon.errors import SettingsError, UsageError
from dlmon.runtime.interpreter import tune_gc

if TYPE_CHECKING:
    from dlmon.config.settings import Settings

_TARGET = {
    **BROKER,
    "broker": Annotated[
        str | None,
        typer.Option(
            "--to",
            "--broker",
            metavar="URL",
            help="The broker to send them to. [DLMON_BROKER; default: RabbitMQ on localhost]",
        ),
    ],
}
del _TARGET["wait"]  # it waits for as long as it takes


_SAME = (
    "--from and --to are the same queue: name another broker, or another queue by --from-namespace."
)


@described_as(
    """Move events from one broker to another, for as long as it takes.

    A message leaves the source once the target has confirmed it; an outage of either is waited out.
    The settings of the broker are those of the target.

    \b
    Examples:
      dlmon forward --from local --to amqps://rabbit.example.com/downloads
      dlmon forward --from sqlite:///van.db --until-empty --events-per-message 100 --compress gzip
    """
)
@takes_settings(_TARGET, METRICS, LOGGING)
def forward(
    settings: Settings,
    *,
    from_: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="URL",
            help="The broker to take events from: local, sqlite:///PATH, amqp://USER@HOST/.",
        ),
    ] = "local",
    from_namespace: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Prefix of the queues there. Default: --namespace."),
    ] = None,
    from_arrivals: Annotated[
        str | None,
        typer.Option(
            metavar="QUEUE",
            help="The queue there, if it has another name than the namespace gives.",
        ),
    ] = None,
    from_password_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Password for the broker of --from, if it is not in the URL."
        ),
    ] = None,
    rate: Annotated[
        float,
        typer.Option(min=0, metavar="N", help="Messages a second, 0 for as fast as it goes."),
    ] = 0.0,
    count: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="End after so many messages.")
    ] = None,
    until_empty: Annotated[
        bool,
        typer.Option(
            "--until-empty", help="End once the source has none left, in its queue or in a hand."
        ),
    ] = False,
    events_per_message: Annotated[
        int,
        typer.Option(
            min=1,
            max=10_000,
            metavar="N",
            help="Pack so many events into a message, as NDJSON. Events with headers of their own, "
            "and messages with several events, stay as they are.",
        ),
    ] = 1,
    compress: Annotated[
        str | None, typer.Option(metavar="NAME", help="Compress messages: gzip or zstd.")
    ] = None,
) -> None:
    import math
    from contextlib import ExitStack
    from dataclasses import replace

    from dlmon.brokers import feeds_itself, open_broker
    from dlmon.cli.files import encoding_named
    from dlmon.commands import forward as command
    from dlmon.commands.configured import configured_name
    from dlmon.config.settings import Settings as MadeSettings
    from dlmon.console import produce as console
    from dlmon.messages import Queue
    from dlmon.monitoring.prometheus import serve_producer_metrics
    from dlmon.sources.pacing import Pace
    from dlmon.sources.packing import Packer

    encoding = encoding_named(compress)
    packer = Packer(events_per_message, encoding) if events_per_message > 1 or encoding else None
    given = {
        "namespace": from_namespace or settings.namespace,
        "arrivals": from_arrivals,
        "broker_password_file": from_password_file,
    }
    try:
        there = MadeSettings.for_url(from_, **given)
    except SettingsError as error:
        raise SettingsError(f"--from: {error}") from error
    source_settings = replace(there, declare=settings.declare, wait=math.inf)
    if _place(source_settings) == _place(settings):
        raise UsageError(_SAME)
    target_settings = replace(settings, wait=math.inf)
    where = f"{settings.names.queue(Queue.ARRIVALS)} at {settings.broker}"
    tune_gc()
    with ExitStack() as opened:
        stop = opened.enter_context(stop_on_signals("what was not confirmed is at the source"))
        observer = opened.enter_context(console.watch(where, to_terminal=False, command="forward"))
        if feeds_itself(source_settings, target_settings, stop):
            raise UsageError(_SAME)
        source = opened.enter_context(open_broker(source_settings, stop))
        target = opened.enter_context(open_broker(target_settings, stop))
        if settings.metrics is not None:
            observer = opened.enter_context(
                serve_producer_metrics(observer, settings.metrics, target)
            )
        result = command.forward(
            source,
            target,
            Pace(rate),
            stop,
            packer=packer,
            count=count,
            until_empty=until_empty,
            name=configured_name(settings),
            observer=observer,
        )
    console.show_summary(result, None, confirms=True)
    if result.error is not None:
        raise result.error


def _place(settings: Settings) -> tuple[str, str]:
    """What tells the arrivals from others."""
    from contextlib import suppress

    from dlmon.config.urls import LocalAddress
    from dlmon.messages import Queue

    broker = settings.broker
    where = str(broker)
    if isinstance(broker, LocalAddress):
        where = str(broker.path.resolve())
        with suppress(FileNotFoundError):
            # A file may have a second name, which is no symbolic link.
            status = broker.path.stat()
            where = f"{status.st_dev}:{status.st_ino}"
    return where, settings.names.queue(Queue.ARRIVALS)
