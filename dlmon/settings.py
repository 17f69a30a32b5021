"""The one place for configuration: flags, then DLMON_* variables, then a TOML file, then defaults.

Everything that more than one command needs is here: the broker and how to log in, the store, the
schema. Secrets are wrapped where they are stored, so that no log, error or repr can show one.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import unquote, urlsplit

import platformdirs

from dlmon.errors import SettingsError

DEFAULT_BROKER = "amqp://guest:guest@localhost:5672/"
DEFAULT_NAMESPACE = "dlmon"
_PORTS = {"amqp": 5672, "amqps": 5671}


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
            return self._file.read_text().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"Cannot read the password file {self._file}: {error}.") from error

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
        hosts = ",".join(f"{host}:{port}" for host, port in self.hosts)
        vhost = "" if self.vhost == "/" else self.vhost
        return f"{scheme}://{self.user}:***@{hosts}/{vhost}"


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
    """One setting: how its text is turned into a value."""

    parse: Callable[[str], Any]
    default: Any = None


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
    values: dict[str, Any] = {}
    for name, option in _OPTIONS.items():
        variable = f"DLMON_{name.upper()}"
        if (given := (flags or {}).get(name)) is not None:
            values[name] = _parsed(option, str(given), f"--{name.replace('_', '-')}")
        elif environ.get(variable):
            values[name] = _parsed(option, environ[variable], variable)
        elif name in file_values:
            values[name] = _parsed(option, str(file_values[name]), f"{name} in {file}")
        else:
            values[name] = option.default
    return _settings(values)


def _settings(values: dict[str, Any]) -> Settings:
    tls = Tls(
        ca_file=values.pop("broker_ca_file"),
        cert_file=values.pop("broker_cert_file"),
        key_file=values.pop("broker_key_file"),
        server_name=values.pop("broker_server_name"),
    )
    user = values.pop("broker_user")
    password = values.pop("broker_password")
    password_file = values.pop("broker_password_file")
    if password is not None and password_file is not None:
        raise SettingsError(
            "broker_password and broker_password_file are both set: unset one of them."
        )
    if password_file is not None:
        password = Secret(_file=password_file)
    broker = parse_broker(values.pop("broker"), tls=tls, user=user, password=password)
    store = values.pop("store") or f"sqlite:///{data_folder() / 'events.db'}"
    return Settings(broker=broker, store=store, **values)


def parse_broker(
    url: str,
    *,
    tls: Tls | None = None,
    user: str | None = None,
    password: Secret | None = None,
) -> RabbitMQAddress | LocalAddress:
    """A broker URL, with the parts of a login that are configured beside it, which win.

    `amqp://USER:PASSWORD@HOST:PORT/VHOST` (hosts separated by commas are alternatives), `amqps://`,
    `local`, or `sqlite:///PATH`.

    Raises: SettingsError.
    """
    if url == "local":
        return LocalAddress(data_folder() / "broker.db")
    scheme, separator, rest = url.partition("://")
    if scheme == "sqlite" and separator:
        return LocalAddress(sqlite_path(url))
    if scheme not in _PORTS or not separator:
        _refuse_broker(url)
    login, _, hosts_and_vhost = rest.rpartition("@")
    host_list, slash, vhost = hosts_and_vhost.partition("/")
    url_user, _, url_password = login.partition(":")
    if not login:
        url_user, url_password = "guest", "guest"
    return RabbitMQAddress(
        hosts=tuple(_host(host, _PORTS[scheme]) for host in host_list.split(",")),
        # As in RabbitMQ's URI specification: no path and an empty one both mean the default vhost.
        vhost=unquote(vhost) if slash and vhost else "/",
        user=user or unquote(url_user),
        password=password or Secret(unquote(url_password)),
        tls=(tls or Tls()) if scheme == "amqps" else None,
    )


def sqlite_path(url: str) -> Path:
    """The path in `sqlite:///PATH`: what follows the third slash, so that four make it absolute.

    Raises: SettingsError.
    """
    path = url.removeprefix("sqlite:///")
    if path in (url, ""):
        raise SettingsError(f"{url!r} names no file: write sqlite:///PATH.")
    return Path(path).expanduser()


def _host(text: str, default_port: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise SettingsError(f"The broker address {text!r} is wrong: {error}.") from error
    if not host:
        raise SettingsError("The broker URL names no host: write amqp://HOST:5672/.")
    return host, port or default_port


def _refuse_broker(url: str) -> NoReturn:
    # The text may hold a password: only the scheme is shown.
    scheme = url.partition(":")[0]
    shown = scheme if scheme != url and scheme.isalnum() else "it"
    raise SettingsError(
        f"The broker must be amqp://HOST/, amqps://HOST/, sqlite:///PATH or local; {shown} is none."
    )


def _named_by(environ: Mapping[str, str]) -> Path | None:
    named = environ.get("DLMON_CONFIG")
    return Path(named) if named else None


def _read_toml(path: Path | None) -> tuple[Path | None, dict[str, Any]]:
    candidates = [path] if path else [Path("dlmon.toml"), config_file()]
    for candidate in candidates:
        try:
            values = tomllib.loads(candidate.read_text())
        except FileNotFoundError as error:
            if candidate is path:
                raise SettingsError(f"There is no configuration file {path}.") from error
            continue
        except (OSError, ValueError) as error:
            raise SettingsError(f"Cannot read the configuration {candidate}: {error}.") from error
        for name in values:
            if name not in _OPTIONS:
                near = difflib.get_close_matches(name, _OPTIONS, n=1)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                raise SettingsError(f"{candidate} has an unknown setting {name!r}.{hint}")
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
    "broker": _Option(_text, DEFAULT_BROKER),
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
