"""Server-sent events (HTML, section 9.2): the newest state goes to every browser, and no older one.

A browser that reads slowly misses states and costs nothing: there is one state for all of them, and
none is kept for anybody.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from http import HTTPStatus

from starlette.responses import Response, StreamingResponse

from dlmon.web.answers import problem

MAX_CLIENTS = 1_000
"""Streams that are open at once."""

_KEEP_ALIVE = 15.0
"""Seconds after which a comment finds out browsers that have gone, and keeps proxies waiting."""


class Hub:
    """Passes states from the threads that know them to the streams."""

    def __init__(self, max_clients: int = MAX_CLIENTS) -> None:
        self._max_clients = max_clients
        self._loop: asyncio.AbstractEventLoop | None = None
        self._latest: bytes | None = None
        self._clients: set[asyncio.Event] = set()
        self._closed = False

    def start(self) -> None:
        """Called in the loop that serves the streams."""
        self._loop = asyncio.get_running_loop()

    def publish(self, state: bytes) -> None:
        """Send a state, one line of JSON, to all streams. From any thread."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._set, b"event: state\ndata: %b\n\n" % state)

    def close(self) -> None:
        """End all streams. From any thread."""
        self._closed = True
        if self._loop is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._wake)

    def open(self) -> Response:
        """The answer with a stream, unless there are too many."""
        if len(self._clients) >= self._max_clients:
            full = problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"{self._max_clients:,} pages are open already.",
                "Close one, or wait.",
            )
            full.headers["Retry-After"] = "30"
            return full
        news = asyncio.Event()
        self._clients.add(news)
        return _Stream(self, news)

    def leave(self, news: asyncio.Event) -> None:
        self._clients.discard(news)

    async def states(self, news: asyncio.Event) -> AsyncIterator[bytes]:
        """The newest state now, and whenever there is another one."""
        yield b"retry: 2000\n\n"
        if self._latest is not None:
            yield self._latest
        while not self._closed:
            try:
                await asyncio.wait_for(news.wait(), _KEEP_ALIVE)
            except TimeoutError:
                yield b": nothing new\n\n"
                continue
            news.clear()
            if self._latest is not None:
                yield self._latest

    def _set(self, event: bytes) -> None:
        self._latest = event
        self._wake()

    def _wake(self) -> None:
        for news in self._clients:
            news.set()


class _Stream(StreamingResponse):
    def __init__(self, hub: Hub, news: asyncio.Event) -> None:
        super().__init__(hub.states(news), media_type="text/event-stream")
        self.headers["X-Accel-Buffering"] = "no"
        self._hub = hub
        self._news = news

    async def __call__(self, scope: object, receive: object, send: object) -> None:
        try:
            await super().__call__(scope, receive, send)  # type: ignore[arg-type]
        finally:
            self._hub.leave(self._news)
