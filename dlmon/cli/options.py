"""Options that several commands share, each declared once.

All default to None, "not given": `dlmon.config.settings` then looks at DLMON_* variables and at
the TOML file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

_BROKER_PANEL = "Broker"

Broker: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="amqp://HOST/, amqps://HOST/, local, or sqlite:///PATH. "
        "[DLMON_BROKER; default: RabbitMQ on localhost]",
        rich_help_panel=_BROKER_PANEL,
    ),
]
Namespace: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Prefix of the exchange and the queues. [DLMON_NAMESPACE; default: dlmon]",
        rich_help_panel=_BROKER_PANEL,
    ),
]
Declare: TypeAlias = Annotated[
    bool | None,
    typer.Option(
        "--declare/--no-declare",
        help="Create missing queues, or leave topology to the operator. "
        "[DLMON_DECLARE; default: declare]",
        rich_help_panel=_BROKER_PANEL,
    ),
]
Wait: TypeAlias = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        help="How long to wait for a broker that does not answer at the start. "
        "[DLMON_WAIT; default: 0]",
        rich_help_panel=_BROKER_PANEL,
    ),
]
Config: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="TOML file with settings. [DLMON_CONFIG; default: ./dlmon.toml, "
        "then the user's configuration folder]",
    ),
]
SchemaFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--schema",
        metavar="FILE",
        help="Judge by this JSON Schema instead of the one inside. [DLMON_SCHEMA]",
    ),
]
MaxEventBytes: TypeAlias = Annotated[
    int | None,
    typer.Option(
        metavar="BYTES",
        help="Size limit of one event. [DLMON_MAX_EVENT_BYTES; default: 65536]",
    ),
]
StoreUrl: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="URL",
        help="Where valid events go: sqlite:///PATH, postgresql://HOST/DATABASE, "
        "https://HOST/PATH, ndjson:PATH or stdout. "
        "[DLMON_STORE; default: a SQLite file in the user's data folder]",
    ),
]
Metrics: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="[HOST:]PORT",
        help="Answer /metrics (for Prometheus) and /healthz there. "
        "[DLMON_METRICS; default: no; default HOST: 127.0.0.1]",
    ),
]
LogFormat: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="console, or json: the Elastic Common Schema. "
        "[DLMON_LOG_FORMAT; default: console on a terminal, else json]",
    ),
]
LogLevel: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="LEVEL", help="debug, info, warning or error. [DLMON_LOG_LEVEL; default: info]"
    ),
]
