"""Events as HTTP requests: a batch is one POST of a JSON array, with the bytes of each event in it.

The header `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header) is a hash of the body: a
request that is sent again has the same key.
"""

from __future__ import annotations

import hashlib
import logging
import os
import ssl
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

from dlmon import __version__
from dlmon.config.urls import StoreAddress
from dlmon.errors import EventsRefused, SettingsError, StoreUnavailable
from dlmon.runtime.tls_environment import create_tls_context
from dlmon.stores.base import Entry, Store, WriteResult
from dlmon.stores.http_environment import Proxy, find_proxy
from dlmon.stores.passwords import read_password

# Seconds: to connect, between two bytes of a response, and for the whole response.
_CONNECT_TIMEOUT = 5.0
_READ_TIMEOUT = 30.0
_RESPONSE_TIMEOUT = 60.0

_MAX_READ = 64 * 1024
"""Bytes of a response body that are read. It is only shown to people."""
_MAX_SHOWN = 300

_MAX_RETRY_AFTER = 3600.0
"""Seconds. A longer Retry-After is cut down to this."""

# Status codes that are about the events. All others (401, 404, 429, 503, ...) are about the login,
# the address or the server, and would be the same for any event.
_REFUSALS = (400, 413, 422)
_DOWN = (429, 502, 503, 504)

# httpx logs the whole URL, which may contain a secret.
logging.getLogger("httpx").setLevel(logging.WARNING)


class WebhookStore(Store):
    """Sends events, at least once: a request without a response is sent again.

    Proxies and trusted certificates come from the environment: see `http_environment`. Redirects
    are not followed, because they could lead anywhere, and cookies are not kept.
    """

    exactly_once = False

    def __init__(self, address: StoreAddress) -> None:
        """Raises: SettingsError for an invalid URL, proxy or certificate. StoreUnavailable."""
        self._address = address
        try:
            url = httpx.URL(address.url)
        except (httpx.InvalidURL, ValueError):
            url = httpx.URL()
        if not url.host or not 0 <= (url.port or 0) < 2**16:
            # Not chained, because httpx's message could quote a part of the URL.
            raise SettingsError(f"The store {address} must be a URL: https://HOST/PATH")
        self._user, self._password = url.username, url.password
        self._url = url.copy_with(username=None, password=None)
        self._proxy = find_proxy(url.scheme, url.host, url.port, os.environ)
        uses_tls = "https" in (url.scheme, self._proxy and self._proxy.scheme)
        self._client = httpx.Client(
            verify=(
                create_tls_context(os.environ)
                if uses_tls
                else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            ),
            proxy=_to_httpx(self._proxy),
            trust_env=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            timeout=httpx.Timeout(_READ_TIMEOUT, connect=_CONNECT_TIMEOUT),
            follow_redirects=False,
            # Not compressed, so that a small response cannot expand to a large one.
            headers={"User-Agent": f"dlmon/{__version__}", "Accept-Encoding": "identity"},
        )
        self._not_before = 0.0
        self._failed: bytes | None = None
        try:
            self.probe()
        except BaseException:
            self.close()
            raise

    def probe(self) -> None:
        if self._failed is not None:
            # Only a batch shows whether batches are taken. If it is taken now, it is sent a second
            # time when it is delivered again: twice is safer than never.
            self._post(self._failed)
            return
        status, _ = self._request("HEAD")
        if status in _DOWN:
            raise self._unavailable(f"it answers {status}")

    def write(self, entries: Sequence[Entry]) -> WriteResult:
        if not entries:
            return WriteResult()
        status, text = self._post(b"[" + b",\n".join(entry.body for entry in entries) + b"]\n")
        if status in _REFUSALS:
            raise EventsRefused(f"the webhook answers {status}: {text}")
        return WriteResult(stored=entries)

    def close(self) -> None:
        self._client.close()

    def _post(self, content: bytes) -> tuple[int, str]:
        """Status and text of a response that takes the events, or refuses them for good.

        Raises: StoreUnavailable for any other response.
        """
        self._failed = content
        status, text = self._request("POST", content)
        if not 200 <= status < 300 and status not in _REFUSALS:
            if 300 <= status < 400:
                text = "redirects are not followed; name the URL that they lead to"
            raise self._unavailable(f"it answers {status}" + (text and f": {text}"))
        self._failed = None
        return status, text

    def _request(self, method: str, content: bytes | None = None) -> tuple[int, str]:
        wait = self._not_before - time.monotonic()
        if wait > 0:
            raise self._unavailable(f"it asks to wait for {wait:.0f} s")
        headers = {}
        if content is not None:
            headers["Content-Type"] = "application/json"
            headers["Idempotency-Key"] = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        auth = self._login(headers)
        try:
            with self._client.stream(
                method, self._url, content=content, headers=headers, auth=auth
            ) as response:
                if not response.is_success:
                    self._note_retry_after(response)
                return response.status_code, _read_text(response)
        except (httpx.HTTPError, httpx.StreamError) as error:
            by = f" (by the proxy of {self._proxy.variable})" if self._proxy else ""
            raise self._unavailable((str(error) or type(error).__name__) + by) from error

    def _login(self, headers: dict[str, str]) -> tuple[str, str] | None:
        """User and password for basic authentication. A secret without a user is a bearer token."""
        secret = self._password
        password = read_password(self._address)
        if password is not None:
            secret = password
            if not (secret.isascii() and secret.isprintable()):
                raise self._unavailable("its password has characters that no header can have")
        if self._user:
            return self._user, secret
        if secret:
            headers["Authorization"] = f"Bearer {secret}"
        return None

    def _note_retry_after(self, response: httpx.Response) -> None:
        seconds = _parse_retry_after(response.headers.get("Retry-After", ""))
        self._not_before = time.monotonic() + min(seconds, _MAX_RETRY_AFTER)

    def _unavailable(self, reason: str) -> StoreUnavailable:
        return StoreUnavailable(f"The store {self._address} cannot be used: {reason}.")


def _to_httpx(proxy: Proxy | None) -> httpx.Proxy | None:
    """Raises: SettingsError for a proxy that httpx cannot use."""
    if proxy is None:
        return None
    try:
        return httpx.Proxy(proxy.url)
    except (httpx.InvalidURL, ValueError):
        pass  # outside, so that the error is not chained: it quotes the value
    raise proxy.unusable()


def _read_text(response: httpx.Response) -> str:
    """The beginning of a response body, in one line.

    The body is read to its end where it is short, so that the connection can be used again.
    """
    start = b""
    read = 0
    deadline = time.monotonic() + _RESPONSE_TIMEOUT
    for chunk in response.iter_raw(4096):
        read += len(chunk)
        if len(start) < _MAX_SHOWN:
            start += chunk
        if read > _MAX_READ or time.monotonic() > deadline:
            break
    text = " ".join(start[:_MAX_SHOWN].decode(errors="replace").split())
    # It may be printed on a terminal.
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def _parse_retry_after(retry_after: str) -> float:
    """Seconds from a Retry-After header, which has seconds or a date (RFC 9110 section 10.2.3).

    0 for one that is missing, malformed or in the past.
    """
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after[:9])
    try:
        moment = parsedate_to_datetime(retry_after)
    except (ValueError, OverflowError):
        return 0.0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
