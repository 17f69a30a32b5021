"""How `dlmon serve` listens, and who may do what."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path

from dlmon.config.secrets import Secret
from dlmon.errors import UsageError

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A token of RFC 9110, section 5.6.2."""

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """host, port: where to listen; port 0 is any free one. password: asked of every browser.
    proxy_header: a proxy in front names the user in it. certificate, key: PEM files for HTTPS.
    allowed_hosts: further names that browsers reach the page by. in_container: all addresses may be
    listened at, since the container's port is published on loopback only."""

    host: str = "127.0.0.1"
    port: int = 9180
    allow_actions: bool = False
    password: Secret | None = None
    proxy_header: str | None = None
    certificate: Path | None = None
    key: Path | None = None
    allowed_hosts: tuple[str, ...] = ()
    in_container: bool = False

    def __post_init__(self) -> None:
        """Raises: UsageError for what would let strangers in, or cannot work. SettingsError for a
        password that cannot be read."""
        if (self.certificate is None) != (self.key is None):
            raise UsageError("--cert and --key go together: give both, or none.")
        if self.password is not None and self.proxy_header is not None:
            raise UsageError(
                "--password-file and --trust-proxy are two ways to know the user: choose one."
            )
        for option, value in (
            ("--host", self.host),
            *(("--allow-host", name) for name in self.allowed_hosts),
        ):
            if not value or not value.isprintable() or " " in value:
                raise UsageError(f"{option}: {value!r} is not the name of a host.")
            if value.startswith("["):
                raise UsageError(f"{option}: write {value.strip('[]')} without brackets.")
        if self.proxy_header is not None and not _HEADER.fullmatch(self.proxy_header):
            raise UsageError(f"--trust-proxy: {self.proxy_header!r} is not the name of a header.")
        if self.password is not None:
            self.password.read()  # now, and not when the first browser comes
        known = self.password is not None or self.proxy_header is not None or self.in_container
        if not known and not is_loopback(self.host):
            raise UsageError(
                f"--host {self.host} can be reached by others: add --password-file FILE, or "
                "--trust-proxy HEADER behind a proxy that logs people in."
            )

    @property
    def host_names(self) -> frozenset[str]:
        """The names that a browser may call this server by, in lower case."""
        return frozenset(name.lower() for name in (*LOOPBACK_NAMES, self.host, *self.allowed_hosts))

    @property
    def scheme(self) -> str:
        return "http" if self.certificate is None else "https"


def is_loopback(host: str) -> bool:
    """Whether only programs on this machine reach an address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
