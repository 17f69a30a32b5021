"""Options for settings that several commands share, each declared once.

A group is what a command takes together, by name of setting. Each option defaults to None, "not
given": `dlmon.config.settings` then looks at DLMON_* variables and at the configuration file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from dlmon.event import MAX_EVENT_BYTES, MAX_MESSAGE_BYTES

Options: TypeAlias = Mapping[str, Any]
"""Annotated types that typer makes options of, by name of setting."""

_BROKER_PANEL = "Broker"
_STORE_PANEL = "Store"

BROKER: Options = {
    "broker": Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="amqp://HOST/, amqps://HOST/, local, or sqlite:///PATH. "
            "[DLMON_BROKER; default: RabbitMQ on localhost]",
            rich_help_panel=_BROKER_PANEL,
        ),
    ],
    "namespace": Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Prefix of the exchange and the queues. [DLMON_NAMESPACE; default: dlmon]",
            rich_help_panel=_BROKER_PANEL,
        ),
    ],
    "exchange": Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help='The exchange; "" or amq.default is the default one, where the routing key is '
            "the queue. [DLMON_EXCHANGE; default: the namespace]",
            rich_help_panel=_BROKER_PANEL,
        ),
    ],
    "arrivals": Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="The queue that events arrive in, or several. "
            "[DLMON_ARRIVALS; default: NAMESPACE.arrivals]",
            rich_help_panel=_BROKER_PANEL,
        ),
    ],
    "rejects": Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The queue of rejects. [DLMON_REJECTS; default: NAMESPACE.rejects]",
            rich_help_panel=_BROKER_PANEL,
        ),
    ],
    "arrivals_key": Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="Routing key of events. [DLMON_ARRIVALS_KEY; default: download.completed]",
            rich_help_panel=_BROKER_PANEL,
        ),
    ],
    "rejects_key": Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="Routing key of rejects. [DLMON_REJECTS_KEY; default: download.rejected]",
            rich_help_panel=_BROKER_PANEL,
        ),
    ],
    "arrivals_type": Annotated[
        str | None,
        typer.Option(
            metavar="TYPE",
            help="What arrivals are declared as: quorum, or stream, a log that is published to and "
            "not consumed from. [DLMON_ARRIVALS_TYPE; default: quorum]",
            rich_help_panel=_BROKER_PANEL,
        ),
    ],
    "retain": Annotated[
        str | None,
        typer.Option(
            metavar="AGE",
            help="How long a stream keeps events, such as 36h. [DLMON_RETAIN; default: 7d]",
            rich_help_panel=_BROKER_PANEL,
        ),
    ],
    "declare": Annotated[
        bool | None,
        typer.Option(
            "--declare/--no-declare",
            help="Create missing queues, or leave topology to the operator. "
            "[DLMON_DECLARE; default: declare]",
            rich_help_panel=_BROKER_PANEL,
        ),
    ],
    "wait": Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="How long to wait for a broker that does not answer at the start. "
            "[DLMON_WAIT; default: 0]",
            rich_help_panel=_BROKER_PANEL,
        ),
    ],
}

MANAGEMENT: Options = {
    "management": Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Where RabbitMQ's management API answers, which shows policies. "
            "[DLMON_MANAGEMENT; default: port 15672 (amqps: 15671) of the broker's host]",
            rich_help_panel=_BROKER_PANEL,
        ),
    ],
}

STORE: Options = {
    "store": Annotated[
        str | None,
        typer.Option(
            "--store",
            metavar="URL",
            help="Where valid events go: sqlite:///PATH, postgresql://HOST/DATABASE, "
            "clickhouse://HOST/DATABASE, https://HOST/PATH, ndjson:PATH or stdout. "
            "[DLMON_STORE; default: a SQLite file in the user's data folder]",
            rich_help_panel=_STORE_PANEL,
        ),
    ],
}

RETENTION: Options = {
    "keep": Annotated[
        str | None,
        typer.Option(
            metavar="AGE",
            help="Delete events from SQLite or PostgreSQL so long after they were stored, "
            "such as 30d. [DLMON_KEEP; default: never]",
            rich_help_panel=_STORE_PANEL,
        ),
    ],
}

SCHEMA: Options = {
    "schema": Annotated[
        Path | None,
        typer.Option(
            "--schema",
            metavar="FILE",
            help="Validate by this JSON Schema instead of the one inside. [DLMON_SCHEMA]",
        ),
    ],
    "schema_refs": Annotated[
        list[Path] | None,
        typer.Option(
            "--schema-ref",
            metavar="FILE|FOLDER",
            help="A document that the schema refers to, or a folder of them; can be repeated. "
            "Nothing is fetched. [DLMON_SCHEMA_REFS, with : between several]",
        ),
    ],
}

VALIDATION: Options = {
    **SCHEMA,
    "assume_offset": Annotated[
        str | None,
        typer.Option(
            metavar="OFFSET",
            help="Take times without an offset as if they had this one, such as +00:00. "
            "[DLMON_ASSUME_OFFSET; default: such times are invalid]",
        ),
    ],
    "max_event_bytes": Annotated[
        int | None,
        typer.Option(
            metavar="BYTES",
            help=f"Size limit of one event. [DLMON_MAX_EVENT_BYTES; default: {MAX_EVENT_BYTES}]",
        ),
    ],
}

UNPACKING: Options = {
    "max_message_bytes": Annotated[
        int | None,
        typer.Option(
            metavar="BYTES",
            help="Size limit of a message with several events, unpacked. "
            f"[DLMON_MAX_MESSAGE_BYTES; default: {MAX_MESSAGE_BYTES}]",
        ),
    ],
}

METRICS: Options = {
    "metrics": Annotated[
        str | None,
        typer.Option(
            metavar="[HOST:]PORT",
            help="Answer /metrics (for Prometheus) and /healthz there. "
            "[DLMON_METRICS; default: no; default HOST: 127.0.0.1]",
        ),
    ],
}

LOG_LEVEL: Options = {
    "log_level": Annotated[
        str | None,
        typer.Option(
            metavar="LEVEL",
            help="debug, info, warning or error. [DLMON_LOG_LEVEL; default: info]",
        ),
    ],
}

LOGGING: Options = {
    "log_format": Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="console, or json: the Elastic Common Schema. "
            "[DLMON_LOG_FORMAT; default: console on a terminal, else json]",
        ),
    ],
    **LOG_LEVEL,
}

CONFIG: Options = {
    "config": Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="TOML file with settings. [DLMON_CONFIG; default: ./dlmon.toml, "
            "then the user's configuration folder]",
        ),
    ],
}

ALL_SETTINGS = frozenset().union(
    *(BROKER, STORE, RETENTION, VALIDATION, UNPACKING, METRICS, LOGGING, CONFIG)
)
"""The names of all these options."""
