"""Who is asking: by the cookie that a printed token was exchanged for, a password, or a proxy."""

from __future__ import annotations

import base64
import binascii
import getpass
import hashlib
import hmac
import secrets
from collections.abc import Callable

from dlmon.web.options import ServeOptions

_MAX_SESSIONS = 1_000
_MAX_USER = 200  # characters of a name


class Sessions:
    """Tokens that are printed, and the cookies that they were exchanged for. Used by one thread."""

    def __init__(self, announce: Callable[[str], None]) -> None:
        """announce: shows a new token to whoever started the server."""
        self._announce = announce
        self._token: str | None = None
        self._cookies: dict[str, None] = {}  # digests, so that no dump of memory has a cookie

    def offer_token(self) -> None:
        """Have a token that was not used yet. Once a browser has taken it, the next one that comes
        without a cookie makes another be printed."""
        if self._token is None:
            self._token = secrets.token_urlsafe(24)
            self._announce(self._token)

    def exchange(self, token: str) -> str | None:
        """A new cookie for the token, which is of no use from now on; None for a wrong one."""
        if self._token is None or not _equal(token, self._token):
            return None
        self._token = None
        cookie = secrets.token_urlsafe(32)
        self._cookies[_digest(cookie)] = None
        if len(self._cookies) > _MAX_SESSIONS:
            del self._cookies[next(iter(self._cookies))]
        return cookie

    def knows(self, cookie: str) -> bool:
        return _digest(cookie) in self._cookies


def owner() -> str:
    """The user whose server this is."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no name for this user id, as in containers
        return "local user"


def user_by_password(options: ServeOptions, authorization: str) -> str | None:
    """The name that a browser gave with the right password (RFC 7617), else None.

    The password's file is read each time, so that it can rotate.

    Raises: SettingsError when the file cannot be read.
    """
    scheme, _, encoded = authorization.partition(" ")
    if options.password is None or scheme.lower() != "basic":
        return None
    try:
        name, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    if not _equal(password, options.password.read()):
        return None
    return clean_name(name) or "user"


def clean_name(name: str) -> str:
    """A user's name as it can stand in a log line."""
    return "".join(one for one in name if one.isprintable())[:_MAX_USER].strip()


def _digest(cookie: str) -> str:
    return hashlib.sha256(cookie.encode(errors="replace")).hexdigest()


def _equal(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(errors="replace"), expected.encode())
