"""The HTTP server behind `--metrics`: /metrics and /healthz."""

from __future__ import annotations

import errno
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from dlmon.errors import UsageError

if TYPE_CHECKING:
    from prometheus_client.registry import Collector

_REQUEST_TIMEOUT = 10.0
"""Seconds for a client to send its request."""


class PortTaken(UsageError):
    """Another program listens at the address of `--metrics`."""


@contextmanager
def serve(
    host: str, port: int, collector: Collector, problem: Callable[[], str | None]
) -> Iterator[None]:
    """Answer /metrics and /healthz in a thread, inside the block.

    problem: why the command is unhealthy, None while it is healthy.

    Raises: PortTaken. UsageError when it cannot listen at the address for another reason.
    """
    server = _listen(host, port, _pages(collector, problem))
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Page(NamedTuple):
    content_type: str
    body: bytes
    status: HTTPStatus = HTTPStatus.OK


_Pages: TypeAlias = dict[str, Callable[[str], _Page]]
"""By path: makes a page for the Accept header of a request."""


def _pages(collector: Collector, problem: Callable[[], str | None]) -> _Pages:
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import choose_encoder

    registry = CollectorRegistry()
    registry.register(collector)

    def metrics(accept: str) -> _Page:
        try:
            encode, content_type = choose_encoder(accept)
        except (TypeError, ValueError):  # raised for a version that is no number
            encode, content_type = choose_encoder("")
        return _Page(content_type, encode(registry))

    def health(_accept: str) -> _Page:
        found = problem()
        status = HTTPStatus.SERVICE_UNAVAILABLE if found else HTTPStatus.OK
        return _Page("text/plain; charset=utf-8", (found or "ok").encode(errors="replace"), status)

    return {"/metrics": metrics, "/healthz": health}


def _listen(host: str, port: int, pages: _Pages) -> _Server:
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        # A name such as localhost may have addresses of both families.
        family, _, _, _, address = min(addresses, key=lambda found: found[0] != socket.AF_INET)
        return _Server(family, address, pages)
    except OSError as error:
        shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        kind = PortTaken if error.errno == errno.EADDRINUSE else UsageError
        raise kind(
            f"--metrics: cannot listen at {shown} ({error.strerror}): choose another port."
        ) from error
    except ValueError as error:  # a name with a NUL, or too long for DNS
        raise UsageError(f"--metrics: {host!r} is not the name of a host ({error}).") from error


class _Server(ThreadingHTTPServer):
    def __init__(self, family: socket.AddressFamily, address: Any, pages: _Pages) -> None:
        self.address_family = family
        self.pages = pages
        super().__init__(address, _RequestHandler)

    def server_bind(self) -> None:
        # HTTPServer also asks DNS for the name of the host, which can take seconds.
        TCPServer.server_bind(self)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):  # a client that has gone away
            super().handle_error(request, client_address)


class _RequestHandler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _REQUEST_TIMEOUT

    def do_GET(self) -> None:
        self.wfile.write(self._send_head())

    def do_HEAD(self) -> None:
        self._send_head()

    def log_message(self, *_: object) -> None:
        """Requests are not logged: the log is about events."""

    def _send_head(self) -> bytes:
        """Send status and headers, and return the body."""
        make_page = self.server.pages.get(self.path.partition("?")[0])
        if make_page is None:
            page = _Page("text/plain", b"/metrics or /healthz", HTTPStatus.NOT_FOUND)
        else:
            page = make_page(", ".join(self.headers.get_all("Accept", [])))
        self.send_response(page.status)
        self.send_header("Content-Type", page.content_type)
        self.send_header("Content-Length", str(len(page.body)))
        self.end_headers()
        return page.body
