"""What the environment says of HTTP requests: the proxy.

HTTP libraries could read the variables itself. For some values of any of them they raise what no
user can understand, whether the store needs the variable or not; and they cannot read IPv6 networks
in NO_PROXY. An error here names the variable, and never shows its value, which can be a password.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from dlmon.errors import SettingsError

_PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Proxy:
    """The URL of a proxy, with its login, and the variable that it comes from."""

    variable: str
    url: str = field(repr=False)

    @property
    def scheme(self) -> str:
        return self.url.partition("://")[0]

    def unusable(self) -> SettingsError:
        """The error for a URL that cannot be used."""
        return SettingsError(
            f"{self.variable} is not a proxy that can be used: expected http://HOST:PORT, "
            "https://HOST:PORT or socks5://HOST:PORT. NO_PROXY lists hosts that need none."
        )


def find_proxy(
    scheme: str, host: str, port: int | None, environ: Mapping[str, str]
) -> Proxy | None:
    """The proxy for a URL: HTTPS_PROXY or HTTP_PROXY by its scheme, else ALL_PROXY.

    Variables in lower case come first, as in curl. NO_PROXY lists what is reached directly.

    Raises: SettingsError when the proxy cannot be used.
    """
    names = [f"{scheme}_proxy", f"{scheme}_proxy".upper(), "all_proxy", "ALL_PROXY"]
    variable = next((name for name in names if environ.get(name)), None)
    direct = environ.get("no_proxy") or environ.get("NO_PROXY", "")
    if variable is None or _is_direct(host, port or _DEFAULT_PORTS[scheme], direct):
        return None
    value = environ[variable]
    proxy = Proxy(variable, value if "://" in value else f"http://{value}")
    # Not chained, because the message of the library quotes the value.
    if not _is_usable(proxy.url):
        raise proxy.unusable()
    if proxy.scheme.startswith("socks") and not find_spec("socksio"):
        raise SettingsError(
            f"{variable} names a SOCKS proxy, which needs a library that is not installed: "
            "pip install socksio. NO_PROXY lists hosts that need no proxy."
        )
    return proxy


def _is_usable(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in _PROXY_SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:  # of the port, or of brackets
        return False


def _is_direct(host: str, port: int, no_proxy: str) -> bool:
    """Whether NO_PROXY lists the host: itself, a domain above it, or a network of its address."""
    host = host.lower().rstrip(".")
    for entry in no_proxy.lower().replace(" ", ",").split(","):
        name, _, entry_port = entry.rpartition(":")
        if entry_port.isdecimal() and (":" not in name or name.endswith("]")):
            if int(entry_port) != port:
                continue
            entry = name  # noqa: PLW2901
        if entry == "*" or _is_in_network(host, entry.strip("[]")):
            return True
        domain = entry.removeprefix("*").strip(".")
        if domain and (host == domain or host.endswith(f".{domain}")):
            return True
    return False


def _is_in_network(host: str, network: str) -> bool:
    try:
        return ip_address(host) in ip_network(network, strict=False)
    except ValueError:  # one of them is a name
        return False
