"""The one place for configuration: flags, then DLMON_* variables, then a TOML file, then defaults.

Everything that more than one command needs is here: the broker and how to log in, the store, the
schema. Secrets are wrapped where they are stored, so that no log, error or repr can show one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import IntEnum
from pathlib import Path
from typing import Any

from dlmon.config.file import read_config
from dlmon.config.names import Names
from dlmon.config.secrets import Secret
from dlmon.config.urls import (
    BrokerUrl,
    LocalAddress,
    RabbitMQAddress,
    StoreAddress,
    Tls,
    parse_broker,
)
from dlmon.config.values import SETTINGS
from dlmon.errors import SettingsError
from dlmon.event import MAX_EVENT_BYTES, MAX_MESSAGE_BYTES

DEFAULT_BROKER = "amqp://guest:guest@localhost:5672/"


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that is configured, checked. Durations are in seconds.

    The defaults stand here and nowhere else. `load_settings` makes the settings of a command;
    `Settings.for_url` those of a program, which takes nothing from its surroundings.
    """

    broker: RabbitMQAddress | LocalAddress = field(default_factory=lambda: _broker({}))
    namespace: str = "dlmon"
    exchange: str | None = None
    arrivals: tuple[str, ...] = ()
    rejects: str | None = None
    arrivals_key: str | None = None
    rejects_key: str | None = None
    arrivals_type: str = "quorum"
    retain: timedelta = timedelta(days=7)
    declare: bool = True
    connection_name: str = ""
    heartbeat: int = 30
    connect_timeout: float = 10.0
    wait: float = 0.0
    store: StoreAddress = field(default_factory=StoreAddress)
    keep: timedelta | None = None
    schema: Path | None = None
    schema_refs: tuple[Path, ...] = ()
    assume_offset: str | None = None
    max_event_bytes: int = MAX_EVENT_BYTES
    max_message_bytes: int = MAX_MESSAGE_BYTES
    log_level: str = "info"
    log_format: str = "auto"
    metrics: tuple[str, int] | None = None
    management: str | None = None

    @property
    def names(self) -> Names:
        """What the broker calls the exchange, the queues and the routing keys."""
        return Names(
            self.namespace,
            self.exchange,
            self.arrivals,
            self.rejects,
            self.arrivals_key,
            self.rejects_key,
        )

    @property
    def stream_retention(self) -> timedelta | None:
        """How long arrivals keep events, where they are a stream; None where they are a queue."""
        return self.retain if self.arrivals_type == "stream" else None

    @property
    def topology_flags(self) -> list[str]:
        """The words that name the same topology on a command line."""
        if self.stream_retention is None:
            return self.names.flags()
        seconds = math.ceil(self.stream_retention.total_seconds())
        return [*self.names.flags(), "--arrivals-type", "stream", "--retain", f"{seconds}s"]

    @classmethod
    def for_url(cls, url: str, **values: object) -> Settings:
        """The settings for a broker, without a look at variables or files.

        url: as `--broker` takes it. values: others by name, such as `namespace` or `broker_user`,
        as values or as texts.

        Raises: SettingsError. TypeError for a name that is no setting.
        """
        if unknown := values.keys() - SETTINGS.keys():
            raise TypeError(f"there is no setting {min(unknown)!r}")
        return _settings(
            {
                name: _read(name, value, _Source.FLAG, name)
                for name, value in {"broker": url, **values}.items()
                if value is not None
            }
        )


class _Source(IntEnum):
    """Where a setting comes from, the strongest first."""

    FLAG = 0
    VARIABLE = 1
    FILE = 2
    DEFAULT = 3


@dataclass(frozen=True, slots=True)
class _Given:
    """A setting's value, and where it comes from."""

    value: Any
    source: _Source


_NOTHING = _Given(None, _Source.DEFAULT)
_DEFAULT_BROKER = _Given(parse_broker(DEFAULT_BROKER), _Source.DEFAULT)


def load_settings(
    flags: Mapping[str, Any],
    environ: Mapping[str, str],
    config: Path | None = None,
    defaults: Mapping[str, Any] | None = None,
) -> Settings:
    """Settings from flags, then variables, then a TOML file, then defaults.

    flags: by name of setting; None means that the flag was not given. environ: where DLMON_NAME is
    looked up. config: a TOML file that must exist; without it ./dlmon.toml and then the user's own
    are looked for. defaults: by name of setting, instead of the usual ones.

    Raises: SettingsError that names the source and what would be right.
    """
    file, file_values = read_config(config, environ)
    given = {name: _Given(value, _Source.DEFAULT) for name, value in (defaults or {}).items()}
    for name in SETTINGS:
        variable = f"DLMON_{name.upper()}"
        if (flag := flags.get(name)) not in (None, []):
            given[name] = _read(name, flag, _Source.FLAG, f"--{name.replace('_', '-')}")
        elif environ.get(variable):
            given[name] = _read(name, environ[variable], _Source.VARIABLE, variable)
        elif name in file_values:
            given[name] = _read(name, file_values[name], _Source.FILE, f"{name} in {file}")
    return _settings(given)


def _settings(given: Mapping[str, _Given]) -> Settings:
    """Settings of what is given; the rest has its defaults."""
    settings = Settings(
        broker=_broker(given),
        store=StoreAddress(_value(given, "store"), _password(given, "store").value),
        **{
            name: setting.value
            for name, setting in given.items()
            if not name.startswith(("broker", "store"))
        },
    )
    is_local = isinstance(settings.broker, LocalAddress)
    settings.names.check(declare=settings.declare, is_local=is_local)
    if is_local and settings.stream_retention is not None:
        raise SettingsError("The local broker has no streams: leave out --arrivals-type stream.")
    return settings


def _broker(given: Mapping[str, _Given]) -> RabbitMQAddress | LocalAddress:
    """Where the broker's URL leads, with what is configured beside it."""
    where = given.get("broker", _DEFAULT_BROKER)
    url: BrokerUrl | LocalAddress = where.value
    if isinstance(url, LocalAddress):
        return url
    user = _stronger(given.get("broker_user", _NOTHING), _Given(url.user, where.source))
    password = _stronger(_password(given, "broker"), _Given(url.password, where.source))
    tls = Tls(
        ca_file=_value(given, "broker_ca_file"),
        cert_file=_value(given, "broker_cert_file"),
        key_file=_value(given, "broker_key_file"),
        server_name=_value(given, "broker_server_name"),
    )
    return RabbitMQAddress(
        hosts=url.hosts,
        vhost=url.vhost,
        user=user or "guest",
        password=password or Secret("" if user else "guest"),
        tls=tls if url.tls else None,
        external=url.tls and tls.cert_file is not None and not user and not password,
    )


def _value(given: Mapping[str, _Given], name: str) -> Any:
    return given.get(name, _NOTHING).value


def _password(given: Mapping[str, _Given], what: str) -> _Given:
    """The strongest of the password itself, a file that has it, and a command that prints it.

    what: whose, `broker` or `store`.
    """
    names = (f"{what}_password", f"{what}_password_file", f"{what}_password_command")
    ways = {name: given[name] for name in names if name in given}
    if not ways:
        return _NOTHING
    source = min(way.source for way in ways.values())
    first, *others = (name for name, way in ways.items() if way.source == source)
    if others:
        raise SettingsError(f"{first} and {others[0]} are both set: unset one of them.")
    return ways[first]


def _stronger(beside: _Given, in_url: _Given) -> Any:
    # Of two that come from the same source, the more specific one is meant.
    if beside.value is None or (in_url.value is not None and in_url.source < beside.source):
        return in_url.value
    return beside.value


def _read(name: str, value: object, source: _Source, where: str) -> _Given:
    """A setting, checked. where: names its source in messages."""
    try:
        return _Given(SETTINGS[name].read(value), source)
    except ValueError as error:
        raise SettingsError(f"{where}: {error}.") from error
