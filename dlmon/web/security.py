"""What a request must be before it reaches a route. It wraps all of them, so that none is left out.

Browsers send requests here for pages of others too. So the name that the server is called by must
be a known one (DNS rebinding), what changes something must come from the page itself (forged
requests), and nothing is answered without a session.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, TypeAlias

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from dlmon.errors import SettingsError
from dlmon.web.answers import problem
from dlmon.web.options import ServeOptions
from dlmon.web.sessions import Sessions, clean_name, owner, user_by_password

_Send: TypeAlias = Callable[[Any], Awaitable[None]]

HEALTH = "/healthz"
"""The one path that needs no session: it says nothing but that the server runs."""

CHANGES_NOTHING = frozenset({"/api/rejects/look", "/api/patch/try", "/api/patch/dry-run"})
"""What is posted and yet needs no --allow-actions. Whatever else is posted does."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Stand in every answer."""

_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:@/\s]+)(:\d{1,5})?")
_FAILED_LOGIN_SECONDS = 0.5
_SESSION_SECONDS = 30 * 24 * 3600


class Guard:
    """An ASGI application that passes on what is allowed."""

    def __init__(self, app: Any, options: ServeOptions, sessions: Sessions) -> None:
        self._app = app
        self._options = options
        self._sessions = sessions
        self._owner = owner()
        self._failed_login = asyncio.Lock()

    async def __call__(self, scope: Any, receive: Any, send: _Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        request = Request(scope)
        refusal = self._refused(request) or await self._identify(request)
        answer = refusal or self._not_allowed(request)
        await (answer or self._app)(scope, receive, send_with_headers)

    def _refused(self, request: Request) -> Response | None:
        """The answer to what comes from the page of another, or by another name."""
        hosts = request.headers.getlist("host")
        match = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if match is None or match[1].strip("[]").lower() not in self._options.host_names:
            return problem(
                HTTPStatus.MISDIRECTED_REQUEST,
                "This server does not answer by that name.",
                "Use the address that dlmon serve printed, or start it with --allow-host NAME.",
            )
        site = request.headers.get("sec-fetch-site")
        if request.method in ("GET", "HEAD"):
            if site in ("cross-site", "same-site") and request.url.path.startswith("/api/"):
                return _foreign()
            return None
        origin = f"{self._options.scheme}://{hosts[0]}".lower()
        if self._options.proxy_header is not None:  # it may be the proxy that has the certificate
            origins = {origin, f"https://{hosts[0]}".lower()}
        else:
            origins = {origin}
        if site != "same-origin" or request.headers.get("origin", "").lower() not in origins:
            return _foreign()
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            return _foreign()
        return None

    async def _identify(self, request: Request) -> Response | None:
        """Note who is asking in `request.state.user`, or answer that it is not known."""
        if request.url.path == HEALTH:
            return None
        user: str | None
        if self._options.proxy_header is not None:
            user = clean_name(request.headers.get(self._options.proxy_header, ""))
            refusal = "The proxy did not say who you are.", "Log in there, and reload the page."
        elif self._options.password is not None:
            given = request.headers.get("authorization", "")
            try:
                user = await run_in_threadpool(user_by_password, self._options, given)
            except SettingsError as error:
                return problem(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
            if user is None and given:
                async with self._failed_login:  # one after the other: guessing takes long
                    await asyncio.sleep(_FAILED_LOGIN_SECONDS)
            refusal = "The password is missing or wrong.", "Reload the page, and type it again."
        else:
            if request.url.path == "/" and (token := request.query_params.get("token")):
                return self._exchange(token)
            known = self._sessions.knows(request.cookies.get(self._cookie_name, ""))
            user = self._owner if known else None
            if not known and request.url.path == "/":
                self._sessions.offer_token()
            refusal = (
                "This page needs the address that dlmon serve printed: it has a token, which works "
                "once.",
                "Look where dlmon serve runs: it has printed a new address.",
            )
        if user:
            request.state.user = user
            return None
        answer = (
            PlainTextResponse("\n".join(refusal), HTTPStatus.UNAUTHORIZED)
            if request.url.path == "/"
            else problem(HTTPStatus.UNAUTHORIZED, *refusal)
        )
        if self._options.password is not None:
            answer.headers["WWW-Authenticate"] = 'Basic realm="dlmon", charset="UTF-8"'
        return answer

    def _exchange(self, token: str) -> Response:
        cookie = self._sessions.exchange(token)
        if cookie is None:
            self._sessions.offer_token()
            return PlainTextResponse(
                "This address was used already, or is of an earlier start: look where dlmon serve "
                "runs, it has printed a new one.",
                HTTPStatus.UNAUTHORIZED,
            )
        answer = RedirectResponse("/", HTTPStatus.SEE_OTHER)
        answer.set_cookie(
            self._cookie_name,
            cookie,
            max_age=_SESSION_SECONDS,
            secure=self._options.scheme == "https",
            httponly=True,
            samesite="strict",
        )
        return answer

    @property
    def _cookie_name(self) -> str:
        # Cookies do not tell ports apart, and there may be several servers.
        return f"dlmon-{self._options.port}"

    def _not_allowed(self, request: Request) -> Response | None:
        if request.method in ("GET", "HEAD") or request.url.path in CHANGES_NOTHING:
            return None
        if self._options.allow_actions:
            return None
        return problem(
            HTTPStatus.FORBIDDEN,
            "This page only looks.",
            "Start it with dlmon serve --allow-actions to replay and discard from it.",
        )


def _foreign() -> Response:
    return problem(
        HTTPStatus.FORBIDDEN,
        "This request did not come from dlmon's own page.",
        "Open the address that dlmon serve printed.",
    )
