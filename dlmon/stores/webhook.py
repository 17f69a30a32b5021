"""Events as HTTP requests: a batch is one POST of a JSON array, with the bytes of each event in it.

`Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header) is made from the events: a request
that is sent again has the same one.
"""

from __future__ import annotations

import hashlib
import logging
import ssl
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from dlmon import __version__
from dlmon.config.urls import StoreAddress
from dlmon.errors import EventsRefused, SettingsError, StoreUnavailable
from dlmon.stores.base import Entry, Store, WriteResult

# Seconds: to connect, between two bytes of an answer, and for the whole of it.
_CONNECT = 5.0
_SILENCE = 30.0
_ANSWER = 60.0

_READ = 64 * 1024
"""Bytes of an answer that are read. It is only for the eye, so that no answer is too long."""
_SHOWN = 300

_LONGEST_WAIT = 3600.0
"""Seconds. A Retry-After beyond that is not waited for."""

# The answers that speak of the events. All others (401, 404, 429, 503, ...) speak of the login, of
# the address or of the server, and would be the same for any event.
_REFUSALS = (400, 413, 422)
_DOWN = (429, 502, 503, 504)

# Its lines have the whole URL in them.
logging.getLogger("httpx").setLevel(logging.WARNING)


class WebhookStore(Store):
    """Sends events, at least once: what was sent but not answered is sent again.

    Certificates are verified, by the system's CAs or those of SSL_CERT_FILE; redirects, which could
    lead anywhere, are not followed.
    """

    exactly_once = False

    def __init__(self, address: StoreAddress) -> None:
        """Raises: SettingsError when the URL is none, StoreUnavailable."""
        self._address = address
        try:
            url = httpx.URL(address.url)
        except httpx.InvalidURL:
            url = httpx.URL()
        if not url.host:
            # Not chained: httpx's words could quote a part of the URL.
            raise SettingsError(f"The store {address} must be a URL: https://HOST/PATH")
        self._user, self._password = url.username, url.password
        self._url = url.copy_with(username=None, password=None)
        self._client = httpx.Client(
            verify=ssl.create_default_context(),
            timeout=httpx.Timeout(_SILENCE, connect=_CONNECT),
            follow_redirects=False,
            # Not compressed, so that a small answer cannot become a large one.
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
            # Only a batch can tell whether batches are taken. One that is taken now is sent again
            # when it is delivered again: twice is safer than never.
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
        """Status and text of an answer that takes the events, or refuses them for good."""
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
                    self._heed(response)
                return response.status_code, _text(response)
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise self._unavailable(str(error) or type(error).__name__) from error

    def _login(self, headers: dict[str, str]) -> tuple[str, str] | None:
        """What httpx makes basic authentication of; else the secret is a bearer token."""
        secret = self._password
        if self._address.password is not None:
            try:
                secret = self._address.password.read()
            except SettingsError as error:  # while it rotates, say
                raise StoreUnavailable(str(error)) from error
            if not (secret.isascii() and secret.isprintable()):
                raise self._unavailable("its password has characters that no header can have")
        if self._user:
            return self._user, secret
        if secret:
            headers["Authorization"] = f"Bearer {secret}"
        return None

    def _heed(self, response: httpx.Response) -> None:
        """Remember for how long the server wants to be left alone."""
        seconds = _seconds(response.headers.get("Retry-After", ""))
        self._not_before = time.monotonic() + min(seconds, _LONGEST_WAIT)

    def _unavailable(self, reason: str) -> StoreUnavailable:
        return StoreUnavailable(f"The store {self._address} cannot be used: {reason}.")


def _text(response: httpx.Response) -> str:
    """The beginning of an answer, in one line. Reading it lets the connection be used again."""
    start = b""
    read = 0
    deadline = time.monotonic() + _ANSWER
    for chunk in response.iter_raw(4096):
        read += len(chunk)
        if len(start) < _SHOWN:
            start += chunk
        if read > _READ or time.monotonic() > deadline:
            break
    text = " ".join(start[:_SHOWN].decode(errors="replace").split())
    # It can end up on a terminal.
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def _seconds(retry_after: str) -> float:
    """Of a Retry-After header, in seconds or as a date (RFC 9110 section 10.2.3); 0 without one."""
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after[:9])
    try:
        moment = parsedate_to_datetime(retry_after)
    except ValueError:
        return 0.0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
