"""Answers as JSON, problems among them, and what a request asks for, checked."""

from __future__ import annotations

import functools
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, TypeAlias

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dlmon.errors import BrokerError, DlmonError, Interrupted, StoreError, UsageError

_MAX_BODY = 64 * 1024

_log = logging.getLogger(__name__)

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]


class Json(JSONResponse):
    """A JSON answer. Text that is no UTF-8 comes as the replacement character."""

    def render(self, content: Any) -> bytes:
        try:
            return orjson.dumps(content)
        except orjson.JSONEncodeError:  # a lone surrogate
            return super().render(content).decode(errors="replace").encode()


class Problem(Exception):
    """A request that cannot be answered as it is. status: of HTTP. hint: what to do."""

    def __init__(self, status: HTTPStatus, error: str, hint: str = "") -> None:
        super().__init__(error)
        self.status = status
        self.hint = hint


def problem(status: HTTPStatus, error: str, hint: str = "") -> Response:
    """A problem in words, and what to do about it."""
    return Json({"error": error, "hint": hint}, status)


def answered(work: Callable[[Request, Any], Any]) -> Endpoint:
    """An endpoint that answers with the JSON that `work(request, body)` returns in a thread.

    body: the JSON object of a POST, else None. `work` may return a Response, too.
    """

    @functools.wraps(work)
    async def endpoint(request: Request) -> Response:
        try:
            body = await _read_object(request) if request.method == "POST" else None
            found = await run_in_threadpool(work, request, body)
        except Problem as error:
            return problem(error.status, str(error), error.hint)
        except DlmonError as error:
            return problem(_status_of(error), str(error))
        except Exception:  # noqa: BLE001  (a request must not end the server)
            _log.exception("A request to %s failed.", request.scope["path"])
            return problem(
                HTTPStatus.INTERNAL_SERVER_ERROR,
                "dlmon failed to answer.",
                "Its log says why: please report it.",
            )
        return found if isinstance(found, Response) else Json(found)

    return endpoint


def text_of(body: Any, name: str, limit: int = 10_000) -> str:
    """A text of a POST.

    Raises: Problem.
    """
    value = body.get(name)
    if not isinstance(value, str) or len(value) > limit:
        raise Problem(
            HTTPStatus.BAD_REQUEST, f"{name}: expected text of at most {limit:,} characters."
        )
    return value


async def _read_object(request: Request) -> Any:
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > _MAX_BODY:
            raise Problem(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"More than {_MAX_BODY:,} bytes were sent."
            )
    try:
        body = orjson.loads(bytes(content) or b"{}")
    except orjson.JSONDecodeError as error:
        raise Problem(HTTPStatus.BAD_REQUEST, f"Expected JSON: {error}.") from error
    if not isinstance(body, dict):
        raise Problem(HTTPStatus.BAD_REQUEST, "Expected a JSON object.")
    return body


def _status_of(error: DlmonError) -> HTTPStatus:
    if isinstance(error, BrokerError | StoreError | Interrupted):
        return HTTPStatus.SERVICE_UNAVAILABLE
    if isinstance(error, UsageError):
        return HTTPStatus.BAD_REQUEST
    return HTTPStatus.INTERNAL_SERVER_ERROR
