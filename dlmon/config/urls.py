"""Where a broker or a store is, how to log in there, and what may be shown of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

import platformdirs

from dlmon.config.secrets import Secret
from dlmon.errors import SettingsError

# Strict: in a URL that is taken apart in another way than it is meant, a password could be shown.
_STORE_HOST = r"(\[[\da-fA-F:.]+\]|[^\[\]:/?#@,\s]*)(:\d*)?"
_STORE = re.compile(
    r"(?P<scheme>postgres|postgresql|https?)://"
    r"((?P<user>[^:/?#@]*)(?P<password>:[^:/?#@]*)?@)?"
    rf"(?P<hosts>{_STORE_HOST}(,{_STORE_HOST})*)"
    r"(?P<path>/[^?#@]*)?(?P<rest>[?#][^@]*)?"
)
_PORTS = {"amqp": 5672, "amqps": 5671}
_HOST = re.compile(r"(\[[\da-fA-F:.]+(?:%\w+)?\]|[^\[\]:\s]+)(?::(\d{1,5}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Tls:
    """How an `amqps://` broker is verified, and which certificate this side shows."""

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    server_name: str | None = None


@dataclass(frozen=True, slots=True)
class RabbitMQAddress:
    """Where RabbitMQ is: `hosts` are alternatives, tried in random order.

    external: the client certificate is the login (SASL EXTERNAL), without user and password.
    """

    hosts: tuple[tuple[str, int], ...]
    vhost: str
    user: str
    password: Secret
    tls: Tls | None
    external: bool = False

    def __str__(self) -> str:
        scheme = "amqps" if self.tls else "amqp"
        hosts = ",".join(
            f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts
        )
        vhost = "" if self.vhost == "/" else quote(self.vhost, safe="")
        login = "" if self.external else f"{quote(self.user, safe='')}:***@"
        return f"{scheme}://{login}{hosts}/{vhost}"


@dataclass(frozen=True, slots=True)
class LocalAddress:
    """The SQLite file of the local broker."""

    path: Path

    def __str__(self) -> str:
        return f"sqlite:///{self.path}"


@dataclass(frozen=True, slots=True)
class BrokerUrl:
    """What an AMQP URL says. `user` and `password` are None where it says nothing of them."""

    tls: bool
    hosts: tuple[tuple[str, int], ...]
    vhost: str
    user: str | None
    password: Secret | None


@dataclass(frozen=True, slots=True)
class StoreAddress:
    """Where valid events go, by default to a SQLite file in the user's data folder.

    password: one that stands beside the URL, and not in it.
    """

    _url: str | None = None
    password: Secret | None = None

    @property
    def url(self) -> str:
        """All of the URL, with the secrets that it has; nothing else gives those."""
        return f"sqlite:///{data_folder() / 'events.db'}" if self._url is None else self._url

    def __str__(self) -> str:
        url = self.url
        scheme, separator, _ = url.partition("://")
        if not separator or scheme == "sqlite":
            return url
        match = _STORE.fullmatch(url)
        if not match:
            return f"{scheme}://***"
        password = ":***" if match["password"] else ""
        login = "" if match["user"] is None else f"{match['user']}{password}@"
        path = match["path"] or ""
        if scheme.startswith("http") and (len(path) > 1 or match["rest"]):
            path = "/***"  # whoever knows the path of a webhook may often send to it
        return f"{scheme}://{login}{match['hosts']}{path}"

    def __repr__(self) -> str:
        return f"StoreAddress({str(self)!r})"


def parse_store(url: str) -> str:
    """The URL of a store, or ValueError for one of which a part could be taken for another."""
    scheme = url.partition("://")[0]
    if scheme in ("postgresql", "postgres", "http", "https") and not _STORE.fullmatch(url):
        raise ValueError(
            f"expected {scheme}://USER:PASSWORD@HOST:PORT/...; write @ as %40, : as %3A, / as %2F, "
            "? as %3F and # as %23 in user and password"
        )
    return url


def data_folder() -> Path:
    """Where the local broker and the default store live, unless told otherwise."""
    return Path(platformdirs.user_data_dir("dlmon", appauthor=False))


def parse_broker(url: str) -> BrokerUrl | LocalAddress:
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
    return BrokerUrl(
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
