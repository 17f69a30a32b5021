"""The routes of `dlmon serve`, and the state that its page begins with."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from dlmon import __version__
from dlmon.config.settings import Settings
from dlmon.runtime.stop import Stop
from dlmon.validation.validator import Validator
from dlmon.web.answers import answered
from dlmon.web.assets import Assets
from dlmon.web.jobs import Jobs
from dlmon.web.mending import Mending
from dlmon.web.openapi import describe
from dlmon.web.options import ServeOptions
from dlmon.web.questions import Questions
from dlmon.web.rejects import RejectsView
from dlmon.web.security import HEALTH
from dlmon.web.site import Site
from dlmon.web.stream import MAX_CLIENTS, Hub
from dlmon.web.watching import Watcher

_COMPRESSION = 6
"""Of answers. 9 takes three times as long for 1% less."""


class Page:
    """Everything that the page shows and does, behind one ASGI application."""

    def __init__(
        self, settings: Settings, options: ServeOptions, validator: Validator, stop: Stop
    ) -> None:
        self._settings = settings
        self._options = options
        self._validator = validator
        self._hub = Hub()
        self._publishing = threading.Lock()
        site = Site(settings, validator, stop)
        self._watcher = Watcher(site, self.publish)
        self._rejects = RejectsView(site)
        self._mending = Mending(site, self._rejects)
        self._jobs = Jobs(site, self._mending, self.publish)
        self.app = Starlette(
            routes=self._routes(),
            middleware=[Middleware(GZipMiddleware, compresslevel=_COMPRESSION)],
            lifespan=self._lifespan,
        )

    def close(self, seconds: float) -> None:
        """End all streams, and wait for what goes on in threads; after a stop request."""
        self._jobs.join(seconds)
        self._hub.close()
        self._watcher.join(seconds)

    def publish(self) -> None:
        """Send the state to all that are looking."""
        with self._publishing:  # in order
            self._hub.publish(orjson.dumps(self._news()))

    def _news(self) -> dict[str, Any]:
        return {
            **self._watcher.state(),
            "jobs": self._jobs.records(),
            "allow_actions": self._options.allow_actions,
        }

    def _routes(self) -> list[BaseRoute]:
        assets = Assets()
        questions = Questions(self._settings)
        rejects, mending, jobs = self._rejects, self._mending, self._jobs
        return [
            Route("/", assets.index),
            Route("/assets/{name:path}", assets.asset),
            Route(HEALTH, _health),
            Route("/openapi.json", answered(self._describe)),
            Route("/api/state", answered(self._state)),
            Route("/api/stream", self._stream),
            Route("/api/report", answered(questions.report)),
            Route("/api/report.csv", answered(questions.report_csv)),
            Route("/api/anomalies", answered(questions.anomalies)),
            Route("/api/anomalies.csv", answered(questions.anomalies_csv)),
            Route("/api/rejects", answered(rejects.show)),
            Route("/api/rejects/look", answered(rejects.look), methods=["POST"]),
            Route("/api/rejects/groups/{group}", answered(rejects.group)),
            Route("/api/rejects/messages/{key}", answered(rejects.message)),
            Route("/api/patch/try", answered(mending.try_patch), methods=["POST"]),
            Route("/api/patch/dry-run", answered(mending.dry_run), methods=["POST"]),
            Route("/api/actions/replay", answered(jobs.replay), methods=["POST"]),
            Route("/api/actions/discard", answered(jobs.discard), methods=["POST"]),
            Route("/api/jobs/{job}", answered(jobs.show)),
            Route("/api/jobs/{job}/continue", answered(jobs.go_on), methods=["POST"]),
            Route("/api/jobs/{job}/cancel", answered(jobs.cancel), methods=["POST"]),
            Route("/api/exports/{name}", answered(jobs.export)),
        ]

    def _describe(self, _request: Request, _body: Any) -> dict[str, Any]:
        return describe(self.app.routes)

    def _state(self, request: Request, _body: Any) -> dict[str, Any]:
        return {
            **self._news(),
            "version": __version__,
            "user": request.state.user,
            "schema": self._validator.schema.version,
            "namespace": self._settings.namespace,
            "limits": {"clients": MAX_CLIENTS},
        }

    async def _stream(self, request: Request) -> Response:
        return self._hub.open() if request.method == "GET" else Response()

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        self._hub.start()
        self.publish()
        self._watcher.start()
        yield


async def _health(_request: Request) -> Response:
    return PlainTextResponse("ok")
