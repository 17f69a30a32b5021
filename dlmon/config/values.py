"""What each setting may be: one parser for a flag, a variable and a value in a file."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from dlmon.config.paths import parse_path
from dlmon.config.secrets import Secret
from dlmon.config.urls import parse_broker, parse_host, parse_store, parse_text, parse_user
from dlmon.runtime.text import quote
from dlmon.runtime.timestamps import parse_duration

_TYPES = {
    str: "text in quotes",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
}
_MAX_NAMESPACE = 200
_MAX_CONNECTION_NAME = 255
_MAX_AMQP_NAME = 255  # bytes: AMQP 0-9-1 section 4.2.5.3, short strings
_MAX_EVENT_BYTES = 16 * 1024 * 1024
_MAX_MESSAGE_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Setting:
    """How the values of one setting are read.

    parse: makes a value of a text, or raises ValueError. types: what else than a text may be given
    where values have types: TOML's 1.10 is a number, and as text it would be 1.1. several: it is a
    list, and in a variable or one text, `os.pathsep` stands between its items. may_be_empty: of a
    text.
    """

    parse: Callable[[str], Any]
    types: tuple[type, ...] = ()
    several: bool = False
    may_be_empty: bool = False

    def read(self, value: object) -> Any:
        """The value of the setting.

        Raises: ValueError that says what would be right, and shows no secret; SettingsError.
        """
        if self.several:
            items = value.split(os.pathsep) if isinstance(value, str) else value
            if isinstance(items, list | tuple):
                return tuple(map(self._read_one, items))
        return self._read_one(value)

    def _read_one(self, value: object) -> Any:
        if type(value) not in (str, *self.types) and not isinstance(value, Path):
            expected = " or ".join(_TYPES[kind] for kind in (*self.types, str))
            raise ValueError(f"expected {expected}")
        if value == "" and not self.may_be_empty:
            raise ValueError("expected a value, got an empty one: leave it out for the default")
        return self.parse(str(value))


def _secret(text: str) -> Secret:
    return Secret(parse_text(text))


def _secret_file(text: str) -> Secret:
    return Secret.in_file(parse_path(text))


def _secret_command(text: str) -> Secret:
    try:
        words = shlex.split(text)
    except ValueError:  # a quote without its pair
        words = []
    if not words or "\0" in text:
        raise ValueError("expected a command with its arguments")
    return Secret.printed_by(text)


def _flag(text: str) -> bool:
    lowered = text.lower()
    if lowered in ("true", "1", "yes", "on"):
        return True
    if lowered in ("false", "0", "no", "off"):
        return False
    raise ValueError(f"expected true or false, got {quote(text)}")


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = int(text) if re.fullmatch(r"[0-9]{1,9}", text) else low - 1
        if not low <= value <= high:
            raise ValueError(f"expected a whole number from {low} to {high}, got {quote(text)}")
        return value

    return parse


def _seconds(low: float, high: float, what: str) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = float(text) if re.fullmatch(r"[0-9.e+-]+", text) else -1.0
        except ValueError:
            value = -1.0
        if not low <= value <= high:
            raise ValueError(f"expected {what}, got {quote(text)}")
        return value

    return parse


def _arrivals_type(text: str) -> str:
    if text not in ("quorum", "stream"):
        raise ValueError(f"expected quorum or stream, got {quote(text)}")
    return text


def _age(text: str) -> timedelta:
    age = parse_duration(text)
    if not age:
        raise ValueError(f"expected more than nothing, such as 12h or 30d, got {quote(text)}")
    return age


def _namespace(text: str) -> str:
    # Queue names are short strings, and `#` and `*` mean something in routing keys and permissions.
    if not all(character.isalnum() or character in "._-" for character in text):
        raise ValueError(
            f"expected letters, digits, dots, dashes or underscores, got {quote(text)}"
        )
    return _at_most(_MAX_NAMESPACE, text)


def _connection_name(text: str) -> str:
    return _at_most(_MAX_CONNECTION_NAME, parse_text(text))


def _amqp_name(text: str) -> str:
    return _at_most(_MAX_AMQP_NAME, parse_text(text))


def _exchange(text: str) -> str:
    # The management API calls the default exchange so, and a variable cannot be empty.
    return "" if text == "amq.default" else _amqp_name(text)


def _queues(text: str) -> tuple[str, ...]:
    """Names of queues, with commas between them."""
    names = tuple(_amqp_name(name.strip()) for name in text.split(","))
    if not all(names) or len(set(names)) < len(names):
        raise ValueError(f"expected different names with a comma between them, got {quote(text)}")
    return names


def _at_most(limit: int, text: str) -> str:
    if (size := len(text.encode())) > limit:
        raise ValueError(f"expected at most {limit} bytes, got {size}: {quote(text)}")
    return text


def _offset(text: str) -> str:
    if not re.fullmatch(r"Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9]", text):
        raise ValueError(
            f"expected an offset from UTC, such as +00:00 or -05:30, got {quote(text)}"
        )
    return text


def _level(text: str) -> str:
    levels = ("debug", "info", "warning", "error")
    if text.lower() not in levels:
        raise ValueError(f"expected one of {', '.join(levels)}, got {quote(text)}")
    return text.lower()


def _log_format(text: str) -> str:
    if text not in ("auto", "console", "json"):
        raise ValueError(f"expected console or json, got {quote(text)}")
    return text


def _http_url(text: str) -> str:
    # The login is that of the broker, and the path of the API is added.
    if not re.fullmatch(r"https?://[^\s/@?#]+(/[^\s@?#]*)?", text):
        # The text is not repeated: it may have a password.
        raise ValueError("expected http://HOST[:PORT] or https://HOST[:PORT], without a login")
    return text


def _listen(text: str) -> tuple[str, int]:
    """`PORT` on loopback, or `HOST:PORT`."""
    host, _, port = text.rpartition(":")
    if not re.fullmatch(r"[0-9]{1,5}", port) or not int(port) < 2**16:
        raise ValueError(f"expected PORT or HOST:PORT, got {quote(text)}")
    return parse_host(host.strip("[]") or "127.0.0.1"), int(port)


SETTINGS: dict[str, Setting] = {
    "broker": Setting(parse_broker),
    "broker_user": Setting(parse_user),
    "broker_password": Setting(_secret),
    "broker_password_file": Setting(_secret_file),
    "broker_password_command": Setting(_secret_command),
    "broker_ca_file": Setting(parse_path),
    "broker_cert_file": Setting(parse_path),
    "broker_key_file": Setting(parse_path),
    "broker_server_name": Setting(parse_host),
    "namespace": Setting(_namespace),
    "exchange": Setting(_exchange, may_be_empty=True),
    "arrivals": Setting(_queues),
    "rejects": Setting(_amqp_name),
    "arrivals_key": Setting(_amqp_name),
    "rejects_key": Setting(_amqp_name),
    "arrivals_type": Setting(_arrivals_type),
    "retain": Setting(_age),
    "declare": Setting(_flag, (bool,)),
    "connection_name": Setting(_connection_name),
    "heartbeat": Setting(_whole(2, 3600), (int,)),
    "connect_timeout": Setting(_seconds(0.1, 3600, "0.1 to 3600 seconds"), (int, float)),
    "wait": Setting(_seconds(0, 10**9, "a number of seconds"), (int, float)),
    "store": Setting(parse_store),
    "store_password": Setting(_secret),
    "store_password_file": Setting(_secret_file),
    "store_password_command": Setting(_secret_command),
    "keep": Setting(_age),
    "schema": Setting(parse_path),
    "schema_refs": Setting(parse_path, several=True),
    "assume_offset": Setting(_offset),
    "max_event_bytes": Setting(_whole(1, _MAX_EVENT_BYTES), (int,)),
    "max_message_bytes": Setting(_whole(1, _MAX_MESSAGE_BYTES), (int,)),
    "log_level": Setting(_level),
    "log_format": Setting(_log_format),
    "metrics": Setting(_listen, (int,)),
    "management": Setting(_http_url),
}
