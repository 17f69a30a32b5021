from __future__ import annotations

from typing import Annotated

import typer

from dlmon.cli import options
from dlmon.cli.signals import outliving_log_rotation, stop_on_signals
from dlmon.runtime.interpreter import tune_gc, tune_switch_interval


def consume(
    *,
    store: options.StoreUrl = None,
    keep: Annotated[
        str | None,
        typer.Option(
            metavar="AGE",
            help="Delete events from SQLite or PostgreSQL so long after they were stored, "
            "such as 30d. [DLMON_KEEP; default: never]",
        ),
    ] = None,
    batch: Annotated[
        int,
        typer.Option(
            min=1, max=10_000, metavar="N", help="Store and acknowledge up to so many at once."
        ),
    ] = 2_000,
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
    broker: options.Broker = None,
    namespace: options.Namespace = None,
    declare: options.Declare = None,
    wait: options.Wait = None,
    schema: options.SchemaFile = None,
    max_event_bytes: options.MaxEventBytes = None,
    config: options.Config = None,
    metrics: options.Metrics = None,
    log_format: options.LogFormat = None,
    log_level: options.LogLevel = None,
) -> None:
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
    import os
    import socket
    import sys
    from contextlib import ExitStack

    from dlmon.brokers import open_broker
    from dlmon.commands import consume as command
    from dlmon.config.settings import load_settings
    from dlmon.console import consume as console
    from dlmon.monitoring.prometheus import watched_consumer
    from dlmon.runtime.logging import configure_logging
    from dlmon.stores import open_store
    from dlmon.validation.schema import load_schema
    from dlmon.validation.validator import Validator

    settings = load_settings(
        {
            "store": store,
            "keep": keep,
            "broker": broker,
            "namespace": namespace,
            "declare": declare,
            "wait": wait,
            "schema": schema,
            "max_event_bytes": max_event_bytes,
            "metrics": metrics,
            "log_format": log_format,
            "log_level": log_level,
        },
        config=config,
    )
    configure_logging(settings.log_level, settings.log_format)
    queue = f"{settings.namespace}.arrivals"
    where = f"{queue} at {settings.broker}"
    to_terminal = str(settings.store) == "stdout" and sys.stdout.isatty()
    with ExitStack() as opened:
        stop = opened.enter_context(stop_on_signals())
        opened.enter_context(outliving_log_rotation())
        if workers > 1:
            from dlmon.commands.workers import consume_with_workers

            observer = opened.enter_context(
                console.watch(f"{where}, {workers} workers", str(settings.store), queue=queue)
            )
            if settings.metrics is not None:
                observer = opened.enter_context(watched_consumer(observer, settings.metrics))
            result = consume_with_workers(
                settings,
                stop,
                workers=workers,
                batch=batch,
                count=count,
                until_empty=until_empty,
                observer=observer,
            )
        else:
            validator = Validator(load_schema(settings.schema), settings.max_event_bytes)
            # The store first: nothing is taken from the broker that cannot be stored.
            events = opened.enter_context(open_store(settings.store, settings.keep))
            source = opened.enter_context(open_broker(settings, stop))
            observer = opened.enter_context(
                console.watch(where, str(settings.store), queue=queue, to_stdout=to_terminal)
            )
            if settings.metrics is not None:
                observer = opened.enter_context(
                    watched_consumer(observer, settings.metrics, source)
                )
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
                name=settings.connection_name or f"{socket.gethostname()}:{os.getpid()}",
                observer=observer,
            )
    console.show_summary(result)
    if result.interrupted is not None:
        raise result.interrupted
