"""The one place for configuration: flags, then DLMON_* variables, then a TOML file, then defaults.

Everything that more than one command needs is here: the broker and how to log in, the store, the
schema. Secrets are wrapped where they are stored, so that no log, error or repr can show one.
"""

from __future__ import annotations

import difflib
import os
import re
import shlex
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum
from pathlib import Path
from typing import Any

import platformdirs

from dlmon.config.secrets import Secret
from dlmon.config.urls import (
    BrokerUrl,
    LocalAddress,
    RabbitMQAddress,
    StoreAddress,
    Tls,
    data_folder,
    parse_broker,
    parse_store,
)
from dlmon.errors import SettingsError

DEFAULT_BROKER = "amqp://guest:guest@localhost:5672/"
DEFAULT_NAMESPACE = "dlmon"
_DURATION = re.compile(r"([1-9]\d{0,4})([smhdw])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that is configured, checked. Durations are in seconds."""

    broker: RabbitMQAddress | LocalAddress
    namespace: str
    declare: bool
    connection_name: str
    heartbeat: int
    connect_timeout: float
    wait: float
    store: StoreAddress
    keep: timedelta | None
    schema: Path | None
    max_event_bytes: int
    log_level: str
    log_format: str
    metrics: tuple[str, int] | None


@dataclass(frozen=True, slots=True)
class _Option:
    """One setting: how its text is turned into a value, or raises ValueError."""

    parse: Callable[[str], Any]
    default: Any = None


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


def config_file() -> Path:
    """The user's own configuration file."""
    return Path(platformdirs.user_config_dir("dlmon", appauthor=False)) / "dlmon.toml"


def load_settings(
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] = os.environ,
    config: Path | None = None,
) -> Settings:
    """Settings from all their sources.

    flags: by name of setting; None means that the flag was not given. environ: where DLMON_NAME is
    looked up. config: a TOML file that must exist; without it ./dlmon.toml and then the user's own
    are looked for.

    Raises: SettingsError that names the source and what would be right.
    """
    file, file_values = _read_toml(config or _named_by(environ))
    given: dict[str, _Given] = {}
    for name, option in _OPTIONS.items():
        variable = f"DLMON_{name.upper()}"
        if (flag := (flags or {}).get(name)) is not None:
            value = _parsed(option, str(flag), f"--{name.replace('_', '-')}")
            given[name] = _Given(value, _Source.FLAG)
        elif environ.get(variable):
            value = _parsed(option, environ[variable], variable)
            given[name] = _Given(value, _Source.VARIABLE)
        elif name in file_values:
            value = _parsed(option, str(file_values[name]), f"{name} in {file}")
            given[name] = _Given(value, _Source.FILE)
        else:
            given[name] = _Given(option.default, _Source.DEFAULT)
    return _settings(given)


def _settings(given: dict[str, _Given]) -> Settings:
    url = given["broker"].value
    store = given["store"].value or f"sqlite:///{data_folder() / 'events.db'}"
    values = {
        name: setting.value
        for name, setting in given.items()
        if not name.startswith(("broker", "store"))
    }
    return Settings(
        broker=url if isinstance(url, LocalAddress) else _address(given),
        store=StoreAddress(store, _password(given, "store").value),
        **values,
    )


def _address(given: dict[str, _Given]) -> RabbitMQAddress:
    """The address in the URL, with what is configured beside it."""
    url: BrokerUrl = given["broker"].value
    user = _stronger(given["broker_user"], _Given(url.user, given["broker"].source))
    password = _stronger(_password(given, "broker"), _Given(url.password, given["broker"].source))
    tls = Tls(
        ca_file=given["broker_ca_file"].value,
        cert_file=given["broker_cert_file"].value,
        key_file=given["broker_key_file"].value,
        server_name=given["broker_server_name"].value,
    )
    return RabbitMQAddress(
        hosts=url.hosts,
        vhost=url.vhost,
        user=user or "guest",
        password=password or Secret("" if user else "guest"),
        tls=tls if url.tls else None,
        external=url.tls and tls.cert_file is not None and not user and not password,
    )


def _password(given: dict[str, _Given], what: str) -> _Given:
    """The strongest of the password itself, a file that has it, and a command that prints it.

    what: whose, `broker` or `store`.
    """
    name = f"{what}_password"
    ways = {
        name: given[name],
        f"{name}_file": _wrapped(given[f"{name}_file"], "_file"),
        f"{name}_command": _wrapped(given[f"{name}_command"], "_command"),
    }
    found = {name: way for name, way in ways.items() if way.value is not None}
    if not found:
        return given[name]
    source = min(way.source for way in found.values())
    first, *others = (key for key, way in found.items() if way.source == source)
    if others:
        raise SettingsError(f"{first} and {others[0]} are both set: unset one of them.")
    return found[first]


def _wrapped(given: _Given, way: str) -> _Given:
    return given if given.value is None else _Given(Secret(**{way: given.value}), given.source)


def _stronger(beside: _Given, in_url: _Given) -> Any:
    # Of two that come from the same source, the more specific one is meant.
    if beside.value is None or (in_url.value is not None and in_url.source < beside.source):
        return in_url.value
    return beside.value


def _named_by(environ: Mapping[str, str]) -> Path | None:
    named = environ.get("DLMON_CONFIG")
    return Path(named).expanduser() if named else None


def _read_toml(path: Path | None) -> tuple[Path | None, dict[str, Any]]:
    candidates = [path] if path else [Path("dlmon.toml"), config_file()]
    for candidate in candidates:
        try:
            values = tomllib.loads(candidate.read_text("utf-8"))
        except FileNotFoundError as error:
            if candidate is path:
                raise SettingsError(f"There is no configuration file {path}.") from error
            continue
        except OSError as error:
            reason = error.strerror
            raise SettingsError(f"Cannot read the configuration {candidate}: {reason}.") from error
        except ValueError as error:
            raise SettingsError(f"The configuration {candidate} is not TOML: {error}.") from error
        for name, value in values.items():
            if name not in _OPTIONS:
                near = difflib.get_close_matches(name, _OPTIONS, n=1)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                raise SettingsError(f"{candidate} has an unknown setting {name!r}.{hint}")
            if isinstance(value, dict | list):
                raise SettingsError(f"{name} in {candidate}: expected one value.")
        return candidate, values
    return None, {}


def _parsed(option: _Option, text: str, source: str) -> Any:
    try:
        return option.parse(text)
    except ValueError as error:
        raise SettingsError(f"{source}: {error}.") from error


def _text(text: str) -> str:
    return text


def _secret(text: str) -> Secret:
    return Secret(text)


def _path(text: str) -> Path:
    return Path(text).expanduser()


def _command(text: str) -> str:
    try:
        words = shlex.split(text)
    except ValueError:  # a quote without its pair
        words = []
    if not words:
        raise ValueError("expected a command with its arguments")
    return text


def _flag(text: str) -> bool:
    lowered = text.lower()
    if lowered in ("true", "1", "yes", "on"):
        return True
    if lowered in ("false", "0", "no", "off"):
        return False
    raise ValueError(f"expected true or false, got {text!r}")


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise ValueError(f"expected a whole number from {low} to {high}, got {text!r}")
        return value

    return parse


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 10**9:
        raise ValueError(f"expected a number of seconds, got {text!r}")
    return value


def _duration(text: str) -> timedelta:
    match = _DURATION.fullmatch(text)
    if not match:
        raise ValueError(f"expected such as 12h, 30d or 52w, got {text!r}")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _namespace(text: str) -> str:
    # Queue names are short strings, and `#` and `*` mean something in routing keys and permissions.
    if not text or len(text.encode()) > 200 or not all(c.isalnum() or c in "._-" for c in text):
        raise ValueError(f"expected letters, digits, dots, dashes or underscores, got {text!r}")
    return text


def _level(text: str) -> str:
    levels = ("debug", "info", "warning", "error")
    if text.lower() not in levels:
        raise ValueError(f"expected one of {', '.join(levels)}, got {text!r}")
    return text.lower()


def _log_format(text: str) -> str:
    if text not in ("auto", "console", "json"):
        raise ValueError(f"expected console or json, got {text!r}")
    return text


def _listen(text: str) -> tuple[str, int]:
    """`PORT` on loopback, or `HOST:PORT`."""
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or not int(port) < 2**16:
        raise ValueError(f"expected PORT or HOST:PORT, got {text!r}")
    return host.strip("[]") or "127.0.0.1", int(port)


_OPTIONS: dict[str, _Option] = {
    "broker": _Option(parse_broker, parse_broker(DEFAULT_BROKER)),
    "broker_user": _Option(_text),
    "broker_password": _Option(_secret),
    "broker_password_file": _Option(_path),
    "broker_password_command": _Option(_command),
    "broker_ca_file": _Option(_path),
    "broker_cert_file": _Option(_path),
    "broker_key_file": _Option(_path),
    "broker_server_name": _Option(_text),
    "namespace": _Option(_namespace, DEFAULT_NAMESPACE),
    "declare": _Option(_flag, True),
    "connection_name": _Option(_text, ""),
    "heartbeat": _Option(_whole(2, 3600), 30),
    "connect_timeout": _Option(_seconds, 10.0),
    "wait": _Option(_seconds, 0.0),
    "store": _Option(parse_store),
    "store_password": _Option(_secret),
    "store_password_file": _Option(_path),
    "store_password_command": _Option(_command),
    "keep": _Option(_duration),
    "schema": _Option(_path),
    "max_event_bytes": _Option(_whole(1, 16 * 1024 * 1024), 64 * 1024),
    "log_level": _Option(_level, "info"),
    "log_format": _Option(_log_format, "auto"),
    "metrics": _Option(_listen),
}
