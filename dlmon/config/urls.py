"""Where a broker or a store is, how to log in there, and what may be shown of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from dlmon.config.paths import data_file, parse_path
from dlmon.config.secrets import Secret
from dlmon.errors import SettingsError

# Strict: a URL that is split in another way than it was meant could show a password.
_STORE_HOST = r"(\[[\da-fA-F:.]+\]|[^\[\]:/?#@,\s]*)(:\d*)?"
_STORE = re.compile(
    r"(?P<scheme>postgres|postgresql|clickhouses?|https?)://"
    r"((?P<user>[^:/?#@]*)(?P<password>:[^:/?#@]*)?@)?"
    rf"(?P<hosts>{_STORE_HOST}(,{_STORE_HOST})*)"
    r"(?P<path>/[^?#@]*)?(?P<rest>[?#][^@]*)?"
)
_PORTS = {"amqp": 5672, "amqps": 5671}
_HOST = re.compile(
    r"(\[[\da-fA-F:.]+(?:%[\w.-]+)?\]|[^\[\]:\s%\0-\x1f\x7f]+)(?::(\d{1,5}))?", re.ASCII
)
_SHORT_STRING = 255
"""Bytes of a virtual host and of a user: AMQP 0-9-1 carries names as short strings."""


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
        """All of the URL, with the secrets that it has; nothing else returns those.

        Raises: SettingsError when it is the default one, and there is no data folder.
        """
        return f"sqlite:///{data_file('events.db')}" if self._url is None else self._url

    @property
    def path(self) -> Path:
        """The file that a `sqlite:` or `ndjson:` URL names.

        Raises: SettingsError.
        """
        try:
            return _path_of_store(self.url)
        except ValueError as error:
            raise SettingsError(f"store: {error}.") from error

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
            path = "/***"  # to know the path of a webhook is often enough to send to it
        return f"{scheme}://{login}{match['hosts']}{path}"

    @property
    def place(self) -> str:
        """What tells this place from others: the URL with its parameters, less the passwords.

        Raises: SettingsError, as `url`.
        """
        match = _STORE.fullmatch(self.url)
        parameters = re.split("[?&#]", (match and match["rest"]) or "")[1:]
        shown = "&".join(
            text
            for text in parameters
            if text and "password" not in unquote(text.partition("=")[0]).lower()
        )
        return f"{self}?{shown}" if shown else str(self)

    def __repr__(self) -> str:
        return f"StoreAddress({str(self)!r})"


def parse_store(url: str) -> str:
    """The URL of a store as it is, checked.

    Raises: ValueError, above all for a URL of which a part could be taken for another one.
    """
    scheme = url.partition(":")[0]
    if scheme in ("sqlite", "ndjson"):
        _path_of_store(url)
        return url
    parse_text(url)
    if scheme in ("postgresql", "postgres", "clickhouse", "clickhouses", "http", "https"):
        match = _STORE.fullmatch(url)
        if not match:
            raise ValueError(
                f"expected {scheme}://USER:PASSWORD@HOST:PORT/...; write @ as %40, : as %3A, / as "
                "%2F, ? as %3F and # as %23 in user and password"
            )
        _decode(url)
        for host in filter(None, match["hosts"].split(",")):
            _host(host if host[0] != ":" else f"localhost{host}", 1)
    return url


def _path_of_store(url: str) -> Path:
    return parse_path(url.removeprefix("ndjson:")) if url.startswith("ndjson:") else _sqlite(url)


def parse_broker(url: str) -> BrokerUrl | LocalAddress:
    """What a broker URL says: `amqp://USER:PASSWORD@HOST:PORT/VHOST` (hosts separated by commas are
    alternatives), `amqps://`, `local`, or `sqlite:///PATH`.

    Raises: ValueError; SettingsError for `local` where there is no data folder.
    """
    if url == "local":
        return LocalAddress(data_file("broker.db"))
    if url.startswith("sqlite:"):
        return LocalAddress(_sqlite(url))
    # No message quotes the URL: any part of a wrong one may turn out to be a password.
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
        vhost=_name(_decode(vhost), "virtual host") or "/",
        user=_name(_decode(user), "user") or None,
        password=Secret(_decode(password)) if password else None,
    )


def parse_user(text: str) -> str:
    """The name of a user of RabbitMQ. Raises: ValueError."""
    return _name(parse_text(text), "user")


def parse_host(text: str) -> str:
    """The name or the address of a host, without a port. Raises: ValueError."""
    return _host(f"[{text}]" if ":" in text else text, 1)[0]


def _host(text: str, default_port: int) -> tuple[str, int]:
    match = _HOST.fullmatch(text)
    port = int(match[2]) if match and match[2] else default_port
    if not match or not 0 < port < 2**16 or not _can_be_looked_up(match[1]):
        raise ValueError("expected HOST or HOST:PORT after the login, an IPv6 address in brackets")
    return match[1].strip("[]"), port


def _can_be_looked_up(host: str) -> bool:
    try:
        return len(host.encode("idna")) <= 253  # RFC 1035 section 2.3.4
    except UnicodeError:  # a label that is empty or too long, or a character that no name has
        return False


def _decode(part: str) -> str:
    """A part of a URL without its percent-encoding."""
    return parse_text(unquote(parse_text(part), errors="surrogateescape"))


def parse_text(text: str) -> str:
    """A text that AMQP and HTTP can carry. Raises: ValueError that does not quote it."""
    # What is not UTF-8 is in Python's arguments and environment as surrogates.
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("expected UTF-8 text without NUL")
    return text


def _name(text: str, what: str) -> str:
    if len(text.encode()) > _SHORT_STRING:
        raise ValueError(f"the {what} has more than {_SHORT_STRING} bytes")
    return text


def _sqlite(url: str) -> Path:
    """The path in `sqlite:///PATH`: what follows the third slash, so that four make it absolute."""
    path = url.removeprefix("sqlite:///")
    # SQLite's name for a database that is private, and gone with the process.
    if path in (url, "", ":memory:"):
        raise ValueError(
            "a SQLite URL names a file: write sqlite:///PATH, and sqlite:////PATH "
            "where the path starts with a slash"
        )
    return parse_path(path)
