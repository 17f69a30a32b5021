from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dlmon.cli.command import described_as, takes_settings
from dlmon.cli.options import BROKER, LOG_LEVEL, MANAGEMENT, SCHEMA, STORE
from dlmon.cli.signals import stop_on_signals

if TYPE_CHECKING:
    from dlmon.config.settings import Settings


@described_as(
    """Check all that dlmon needs, step by step, and say what to do.

    Schema, store, name, port, TLS, login, virtual host, permissions, exchange and queues; where
    RabbitMQ's management API answers, policies too. Exits with the code of the first step that
    failed.

    \b
    Examples:
      dlmon doctor
      dlmon doctor --broker amqps://rabbit.example.com/downloads --no-declare
    """
)
@takes_settings(STORE, BROKER, MANAGEMENT, SCHEMA, LOG_LEVEL, log_level="error")
def doctor(
    settings: Settings,
    *,
    json: Annotated[bool, typer.Option("--json", help="One JSON object for each step.")] = False,
) -> None:
    from dlmon.commands.doctor import diagnose
    from dlmon.console.doctor import show_check, show_json

    failures = []
    with stop_on_signals() as stop:
        for check in diagnose(settings, stop):
            (show_json if json else show_check)(check)
            if check.error is not None:
                failures.append(check.error)
    if failures:
        raise typer.Exit(failures[0].exit_code)
