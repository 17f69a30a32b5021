"""The HTTP connections to a ClickHouse server, by what the environment says of proxies and TLS.

The client could read the variables itself. It knows neither ALL_PROXY nor networks in NO_PROXY, and
its error quotes a proxy that it cannot use.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from clickhouse_connect.driver.httputil import get_pool_manager

from dlmon.errors import SettingsError
from dlmon.runtime.tls_environment import create_tls_context
from dlmon.stores.http_environment import Proxy, find_proxy


def open_pool(
    host: str, port: int, *, secure: bool, ca_file: Path | None, environ: Mapping[str, str]
) -> Any:
    """A pool of connections (`urllib3.PoolManager`), with none in it yet.

    ca_file: authorities to trust instead of the system's, in PEM.

    Raises: SettingsError when the file, or a variable for proxies or TLS, cannot be used.
    """
    proxy = find_proxy("https" if secure else "http", host, port, environ)
    options: dict[str, Any] = {}
    if secure:
        options["ssl_context"] = create_tls_context(environ, ca_file)
    if proxy is not None:
        options |= _through(proxy)
        if proxy.scheme == "https":
            options["proxy_ssl_context"] = create_tls_context(environ)
    return get_pool_manager(**options)


def _through(proxy: Proxy) -> dict[str, Any]:
    """Raises: SettingsError."""
    if proxy.scheme not in ("http", "https"):
        raise SettingsError(
            f"{proxy.variable} names a SOCKS proxy, which the client of ClickHouse cannot use: "
            "name an HTTP proxy. NO_PROXY lists hosts that need none."
        )
    parts = urlsplit(proxy.url)
    headers = {}
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        headers["proxy-authorization"] = f"Basic {base64.b64encode(login).decode()}"
    host = parts.netloc.rpartition("@")[2]
    return {"http_proxy": f"{proxy.scheme}://{host}", "proxy_headers": headers}
