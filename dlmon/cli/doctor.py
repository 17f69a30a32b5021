from __future__ import annotations

from typing import Annotated

import typer

from dlmon.cli import options
from dlmon.cli.signals import stop_on_signals


def doctor(
    *,
    json: Annotated[bool, typer.Option("--json", help="One JSON object for each step.")] = False,
    store: options.StoreUrl = None,
    broker: options.Broker = None,
    namespace: options.Namespace = None,
    declare: options.Declare = None,
    wait: options.Wait = None,
    schema: options.SchemaFile = None,
    config: options.Config = None,
    log_level: options.LogLevel = None,
) -> None:
    """Check all that dlmon needs, step by step, and say what to do.

    Schema, store, name, port, TLS, login, virtual host, permissions, exchange and queues.
    Exits with the code of the first step that failed. Policies of RabbitMQ cannot be seen.

    \b
    Examples:
      dlmon doctor
      dlmon doctor --broker amqps://rabbit.example.com/downloads --no-declare
    """
    from dlmon.commands.doctor import diagnose
    from dlmon.config.settings import load_settings
    from dlmon.console.doctor import show_check, show_json
    from dlmon.runtime.logging import configure_logging

    settings = load_settings(
        {
            "store": store,
            "broker": broker,
            "namespace": namespace,
            "declare": declare,
            "wait": wait,
            "schema": schema,
            "log_level": log_level or "error",
        },
        config=config,
    )
    configure_logging(settings.log_level)
    failures = []
    with stop_on_signals() as stop:
        for check in diagnose(settings, stop):
            (show_json if json else show_check)(check)
            if check.error is not None:
                failures.append(check.error)
    if failures:
        raise typer.Exit(failures[0].exit_code)
