"""The one place for configuration: flags, then DLMON_* variables, then a TOML file, then defaults.

Everything that more than one command needs is here: the broker and how to log in, the store, the
schema. Secrets are wrapped where they are stored, so that no log, error or repr can show one.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import platformdirs

from dlmon.errors import SettingsError

DEFAULT_BROKER = "amqp://guest:guest@localhost:5672/"
DEFAULT_NAMESPACE = "dlmon"
_PORTS = {"amqp": 5672, "amqps": 5671}
_HOST = re.compile(r"(\[[\da-fA-F:.]+(?:%\w+)?\]|[^\[\]:\s]+)(?::(\d{1,5}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Secret:
    """A text that must not be shown. `read` gives it; nothing else does."""

    _value: str = ""
    _file: Path | None = None

    def read(self) -> str:
        """The secret. One that is kept in a file is read again each time, so that it can rotate.

        Raises: SettingsError when the file cannot be read.
        """
        if self._file is None:
            return self._value
        try:
            return self._file.read_text("utf-8").rstrip("\r\n")
        except OSError as error:
            reason = error.strerror
            raise SettingsError(f"Cannot read the password file {self._file}: {reason}.") from error
        except UnicodeDecodeError as error:
            raise SettingsError(f"The password file {self._file} is not UTF-8 text.") from error

    def __repr__(self) -> str:
        return "***"


@dataclass(frozen=True, slots=True)
class Tls:
    """How an `amqps://` broker is verified, and which certificate this side shows."""

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    server_name: str | None = None


@dataclass(frozen=True, slots=True)
class RabbitMQAddress:
    """Where RabbitMQ is: `hosts` are alternatives, tried in random order."""

    hosts: tuple[tuple[str, int], ...]
    vhost: str
    user: str
    password: Secret
    tls: Tls | None

    def __str__(self) -> str:
        scheme = "amqps" if self.tls else "amqp"
        hosts = ",".join(
            f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts
        )
        vhost = "" if self.vhost == "/" else quote(self.vhost, safe="")
        return f"{scheme}://{quote(self.user, safe='')}:***@{hosts}/{vhost}"


@dataclass(frozen=True, slots=True)
class LocalAddress:
    """The SQLite file of the local broker."""

    path: Path

    def __str__(self) -> str:
        return f"sqlite:///{self.path}"


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
    store: str
    schema: Path | None
    max_event_bytes: int
    log_level: str


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


@dataclass(frozen=True, slots=True)
class _BrokerUrl:
    """What an AMQP URL says. `user` and `password` are None where it says nothing of them."""

    tls: bool
    hosts: tuple[tuple[str, int], ...]
    vhost: str
    user: str | None
    password: Secret | None


def data_folder() -> Path:
    """Where the local broker and the default store live, unless told otherwise."""
    return Path(platformdirs.user_data_dir("dlmon", appauthor=False))


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
    values = {
        name: setting.value for name, setting in given.items() if not name.startswith("broker")
    }
    values["store"] = values["store"] or f"sqlite:///{data_folder() / 'events.db'}"
    url = given["broker"].value
    return Settings(broker=url if isinstance(url, LocalAddress) else _address(given), **values)


def _address(given: dict[str, _Given]) -> RabbitMQAddress:
    """The address in the URL, with what is configured beside it."""
    url: _BrokerUrl = given["broker"].value
    user = _stronger(given["broker_user"], _Given(url.user, given["broker"].source))
    password = _stronger(_password(given), _Given(url.password, given["broker"].source))
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
    )


def _password(given: dict[str, _Given]) -> _Given:
    password, file = given["broker_password"], given["broker_password_file"]
    if file.value is None:
        return password
    if password.value is not None and password.source == file.source:
        raise SettingsError(
            "broker_password and broker_password_file are both set: unset one of them."
        )
    return min(_Given(Secret(_file=file.value), file.source), password, key=lambda g: g.source)


def _stronger(beside: _Given, in_url: _Given) -> Any:
    # Of two that come from the same source, the more specific one is meant.
    if beside.value is None or (in_url.value is not None and in_url.source < beside.source):
        return in_url.value
    return beside.value


def _broker(url: str) -> _BrokerUrl | LocalAddress:
    """What a broker URL says: `amqp://USER:PASSWORD@HOST:PORT/VHOST` (hosts separated by commas are
    alternatives), `amqps://`, `local`, or `sqlite:///PATH`."""
    if url == "local":
        return LocalAddress(data_folder() / "broker.db")
    if url.startswith("sqlite:"):
        return LocalAddress(sqlite_path(url))
    # Whatever is wrong, no message quotes the URL: any part of it may turn out to be a password.
    scheme, separator, rest = url.partition("://")
    if scheme not in _PORTS or not separator:
        raise ValueError("expected amqp://HOST/, amqps://HOST/, sqlite:///PATH or local")
    authority, _, vhost = rest.partition("/")
    login, _, hosts = authority.rpartition("@")
    if re.search("[?#@]", hosts + vhost):
        raise ValueError(
            "expected amqp://USER:PASSWORD@HOST:PORT/VHOST and nothing behind it; "
            "write @ as %40, / as %2F, ? as %3F and # as %23 in user, password and vhost"
        )
    user, _, password = login.partition(":")
    return _BrokerUrl(
        tls=scheme == "amqps",
        hosts=tuple(_host(host.strip(), _PORTS[scheme]) for host in hosts.split(",")),
        # As in RabbitMQ's URI specification: no path and an empty one both mean the default vhost.
        vhost=unquote(vhost) or "/",
        user=unquote(user) or None,
        password=Secret(unquote(password)) if password else None,
    )


def _host(text: str, default_port: int) -> tuple[str, int]:
    match = _HOST.fullmatch(text)
    port = int(match[2]) if match and match[2] else default_port
    if not match or not 0 < port < 2**16:
        raise ValueError("expected HOST or HOST:PORT after the login, an IPv6 address in brackets")
    return match[1].strip("[]"), port


def sqlite_path(url: str) -> Path:
    """The path in `sqlite:///PATH`: what follows the third slash, so that four make it absolute.

    Raises: SettingsError.
    """
    path = url.removeprefix("sqlite:///")
    # SQLite's name for a database that nobody else sees and that is gone with the process.
    if path in (url, "", ":memory:"):
        raise SettingsError(
            "A SQLite URL names a file: write sqlite:///PATH, and sqlite:////PATH "
            "where the path starts with a slash."
        )
    return Path(path).expanduser()


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


_OPTIONS: dict[str, _Option] = {
    "broker": _Option(_broker, _broker(DEFAULT_BROKER)),
    "broker_user": _Option(_text),
    "broker_password": _Option(_secret),
    "broker_password_file": _Option(_path),
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
    "store": _Option(_text),
    "schema": _Option(_path),
    "max_event_bytes": _Option(_whole(1, 16 * 1024 * 1024), 64 * 1024),
    "log_level": _Option(_level, "info"),
}
