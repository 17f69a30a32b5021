from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dlmon.cli.command import described_as, takes_settings
from dlmon.cli.options import BROKER, LOGGING, METRICS, RETENTION, STORE, UNPACKING, VALIDATION
from dlmon.cli.signals import outliving_log_rotation, stop_on_signals
from dlmon.cli.used_files import refuse_shared_files
from dlmon.commands.batches import BATCH
from dlmon.errors import UsageError
from dlmon.runtime.interpreter import tune_gc, tune_switch_interval
from dlmon.runtime.stdio import is_terminal

if TYPE_CHECKING:
    from dlmon.config.settings import Settings


@described_as(
    """Store valid events, and put the others aside with the reason why.

    An event is acknowledged once it is committed in the store, or confirmed in the rejects queue.
    Ctrl-C finishes the batch in hand.

    \b
    Examples:
      dlmon consume
      dlmon consume --broker local --store sqlite:///events.db --until-empty
      dlmon consume --store stdout --count 10 | jq .download_speed
      dlmon consume --workers 4
    """
)
@takes_settings(STORE, RETENTION, BROKER, VALIDATION, UNPACKING, METRICS, LOGGING)
def consume(
    settings: Settings,
    *,
    batch: Annotated[
        int,
        typer.Option(
            min=1, max=10_000, metavar="N", help="Store and acknowledge up to so many at once."
        ),
    ] = BATCH,
    confirm_keep: Annotated[
        bool,
        typer.Option(
            "--confirm-keep",
            help="Believe the clock, and delete what is older than --keep even where that is all.",
        ),
    ] = False,
    count: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="End after so many events.")
    ] = None,
    workers: Annotated[
        int,
        typer.Option(
            min=1,
            max=64,
            metavar="N",
            help="Consume in so many processes. One that dies is replaced.",
        ),
    ] = 1,
    until_empty: Annotated[
        bool, typer.Option("--until-empty", help="End once there are no more events.")
    ] = False,
) -> None:
    import sys
    from contextlib import ExitStack

    from dlmon.brokers import open_broker
    from dlmon.commands import consume as command
    from dlmon.commands.configured import configured_name, configured_validator
    from dlmon.console import consume as console
    from dlmon.monitoring.prometheus import serve_consumer_metrics
    from dlmon.stores import open_store

    if settings.stream_retention is not None:
        # Before anything is declared.
        raise UsageError(
            "Events of a stream are published and kept; consume takes them from a queue: leave out "
            "--arrivals-type stream, and bind a queue to the exchange beside the stream."
        )
    refuse_shared_files(settings, writes_store=True)
    queue = ", ".join(settings.names.all_arrivals)
    where = f"{queue} at {settings.broker}"
    to_terminal = str(settings.store) == "stdout" and is_terminal(sys.stdout)
    with ExitStack() as opened:
        stop = opened.enter_context(stop_on_signals())
        opened.enter_context(outliving_log_rotation())
        if workers > 1:
            from dlmon.commands.workers import consume_with_workers

            observer = opened.enter_context(
                console.watch(f"{where}, {workers} workers", str(settings.store), queue=queue)
            )
            observer = opened.enter_context(serve_consumer_metrics(observer, settings))
            result = consume_with_workers(
                settings,
                stop,
                workers=workers,
                batch=batch,
                count=count,
                until_empty=until_empty,
                confirm_keep=confirm_keep,
                observer=observer,
            )
        else:
            validator = configured_validator(settings)
            # The store first: nothing is taken from the broker that cannot be stored.
            events = opened.enter_context(
                open_store(settings.store, settings.keep, confirm_keep=confirm_keep, stop=stop)
            )
            source = opened.enter_context(open_broker(settings, stop))
            observer = opened.enter_context(
                console.watch(where, str(settings.store), queue=queue, to_stdout=to_terminal)
            )
            observer = opened.enter_context(serve_consumer_metrics(observer, settings, source))
            tune_gc()
            tune_switch_interval()
            result = command.consume(
                source,
                events,
                validator,
                stop,
                batch=batch,
                count=count,
                until_empty=until_empty,
                name=configured_name(settings),
                observer=observer,
                by_continent=settings.metrics is not None,
            )
    console.show_summary(result)
    if result.interrupted is not None:
        raise result.interrupted
