"""A receiver of webhooks, over real HTTP, that fails in the way a test asks for."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import orjson


@dataclass(frozen=True)
class Request:
    """A request as it came."""

    method: str
    path: str
    headers: Message
    body: bytes

    @property
    def events(self) -> list[Any]:
        events: list[Any] = orjson.loads(self.body)
        return events


@dataclass(frozen=True)
class Answer:
    """What a request gets. status 0: the connection is closed without an answer."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class Webhook:
    """Use as a context manager. `answer` decides over each POST; those with 200 are `taken`."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.answer: Callable[[Request], Answer] = lambda _: Answer()
        self.probed = Answer(405)
        self.requests: list[Request] = []
        self.taken: list[Request] = []
        self.connections = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._scheme = "https" if tls else "http"
        if tls:
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def authority(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        return f"{self._scheme}://{self.authority}/events"

    def reply(self, *answers: Answer) -> None:
        """Give these answers one after the other, and the last one again and again."""
        left = list(answers)
        self.answer = lambda _: left.pop(0) if len(left) > 1 else left[0]

    @property
    def posts(self) -> list[Request]:
        return [request for request in self.requests if request.method == "POST"]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                webhook.connections += 1

            def handle(self) -> None:
                try:
                    super().handle()
                except OSError:  # a client that did not like the certificate, say
                    self.close_connection = True

            def do_HEAD(self) -> None:
                self._respond(webhook.probed, b"")

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self._respond(None, body)

            def _respond(self, answer: Answer | None, body: bytes) -> None:
                request = Request(self.command, self.path, self.headers, body)
                webhook.requests.append(request)
                if answer is None:
                    answer = webhook.answer(request)
                    if answer.status == 200:
                        webhook.taken.append(request)
                if answer.status == 0:
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer.body)

            def log_message(self, *_: object) -> None:
                """Nothing: tests look at requests."""

        return Handler
