"""Listening, and ending in time."""

from __future__ import annotations

import errno
import os
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

import uvicorn

from dlmon.config.settings import Settings
from dlmon.errors import UsageError
from dlmon.runtime.stop import Stop
from dlmon.validation.validator import Validator
from dlmon.web.app import Page
from dlmon.web.options import LOOPBACK_NAMES, ServeOptions
from dlmon.web.security import Guard
from dlmon.web.sessions import Sessions

_ENDING = 2.0  # seconds for answers that are under way
_TICK = 0.1
_DESCRIPTORS = 16  # for the event loop, the store, the broker and a browser


def serve(
    settings: Settings,
    options: ServeOptions,
    validator: Validator,
    stop: Stop,
    announce: Callable[[str], None],
) -> None:
    """Answer browsers until a stop is requested.

    announce: shows the address to open, once it is known, and again when a token was used and
    another browser comes without one.

    Raises: UsageError when it cannot listen, or a certificate cannot be used. OSError when too few
    files may be open.
    """
    listening = _listen(options.host, options.port)
    options = replace(options, port=listening.getsockname()[1])
    with listening:
        _check_descriptors(listening)
        check_certificate(options)
        address = _address(options)
        sessions = Sessions(lambda token: announce(f"{address}?token={token}"))
        page = Page(settings, options, validator, stop)
        server = uvicorn.Server(
            uvicorn.Config(
                Guard(page.app, options, sessions),
                log_config=None,
                log_level="warning",
                access_log=False,  # the address that a browser opens first has a token
                server_header=False,
                proxy_headers=False,
                http="h11",
                ws="none",
                timeout_graceful_shutdown=int(_ENDING),
                ssl_certfile=options.certificate,
                ssl_keyfile=options.key,
            )
        )
        # In a thread of its own: uvicorn has no handlers for signals there, and the caller has.
        thread = threading.Thread(target=server.run, args=([listening],), name="web", daemon=True)
        thread.start()
        if options.password is None and options.proxy_header is None:
            sessions.offer_token()
        else:
            announce(address)
        while thread.is_alive() and not stop.wait(_TICK * 10):
            pass
        failed = not stop.requested
        stop.request()
        page.close(_ENDING)
        server.should_exit = True
        thread.join(_ENDING)
        if failed:
            raise UsageError("The web server has ended by itself: its log says why.")


def _listen(host: str, port: int) -> socket.socket:
    """Raises: UsageError."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        # A name such as localhost may have addresses of both families.
        family, _, _, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
        listening = socket.socket(family, socket.SOCK_STREAM)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(1024)
        except OSError:
            listening.close()
            raise
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        advice = "choose another one by --port" if taken else "choose another one by --host"
        raise UsageError(
            f"Cannot listen at {host} port {port} ({error.strerror}): {advice}."
        ) from error
    except (ValueError, OverflowError) as error:  # a name with a NUL, or too long for DNS
        raise UsageError(f"--host: {host!r} is not the name of a host ({error}).") from error
    return listening


def _check_descriptors(listening: socket.socket) -> None:
    """Raises: OSError. Later, it would come up in a thread of the web server."""
    with ExitStack() as held:
        for _ in range(_DESCRIPTORS):
            held.callback(os.close, os.dup(listening.fileno()))


def check_certificate(options: ServeOptions) -> None:
    """Raises: UsageError."""
    if options.certificate is None or options.key is None:
        return
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # A password would be asked for on the terminal.
        context.load_cert_chain(options.certificate, options.key, password=lambda: "")
    except (OSError, ssl.SSLError) as error:
        raise UsageError(
            f"--cert {options.certificate} and --key {options.key} cannot be used "
            f"({error.strerror or error}): they have to be a certificate and its key, as PEM."
        ) from error


def _address(options: ServeOptions) -> str:
    """The address to open in a browser."""
    anywhere = options.host in ("0.0.0.0", "::")  # noqa: S104  (compared, not bound)
    host = (options.allowed_hosts or LOOPBACK_NAMES)[0] if anywhere else options.host
    return f"{options.scheme}://{f'[{host}]' if ':' in host else host}:{options.port}/"
