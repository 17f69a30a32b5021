"""A TCP proxy on loopback, which does to connections what networks do."""

from __future__ import annotations

import select
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

_CHUNK = 64 * 1024
_GREETING = 4 * 1024
_POLL = 0.02
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class _Fault:
    """What becomes of bytes, on connections whose client said `of` in the beginning."""

    to_server_lost: bool = False
    to_client_lost: bool = False
    of: bytes = b""
    piece: int = _CHUNK
    pause: float = 0.0


_NONE = _Fault()


class Proxy:
    """Passes on to a port of this machine what is sent to `port`. Use as a context manager."""

    def __init__(self, target: int, port: int = 0) -> None:
        """target: where the server is. port: where to listen, 0 for any that is free."""
        self._target = ("127.0.0.1", target)
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        self._fault = _NONE
        self._answers: dict[bytes, bytes] = {}
        self._resets = 0
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def url(self, url: str) -> str:
        """The URL of the server, by way of this proxy."""
        return url.replace(f":{self._target[1]}/", f":{self.port}/")

    def swallow(self, *, to_server: bool = True, to_client: bool = True, of: bytes = b"") -> None:
        """Take what comes and pass nothing on, without a word.

        of: only on connections whose client has these bytes in what it says first, as its name.
        """
        self._fault = _Fault(to_server_lost=to_server, to_client_lost=to_client, of=of)

    def slow_down(self, piece: int, pause: float) -> None:
        """Pass on so many bytes at a time, and wait for `pause` seconds after them."""
        self._fault = _Fault(piece=piece, pause=pause)

    def answer(self, mark: bytes, answer: bytes) -> None:
        """Send `answer` to a client, in place of the server, once it has sent `mark`, and pass on
        nothing more."""
        self._answers[mark] = answer

    def reset(self) -> None:
        """End each connection with a TCP reset on both sides."""
        self._resets += 1

    def heal(self) -> None:
        """Pass everything on from now on. A connection that has lost bytes is reset."""
        self._fault = _NONE

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closing.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _start(self, run: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=run, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closing.is_set():
            if select.select([self._listener], [], [], _POLL)[0]:
                client, _ = self._listener.accept()
                self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        resets = self._resets
        with client, suppress(OSError), socket.create_connection(self._target) as server:
            greeting, lost, said = b"", False, b""
            while not self._closing.is_set():
                fault = self._fault if self._fault.of in greeting else _NONE
                if resets != self._resets or (lost and fault is _NONE):
                    for end in (client, server):
                        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
                    return
                for source in select.select([client, server], [], [], _POLL)[0]:
                    data = source.recv(_CHUNK)
                    if not data:
                        return
                    from_client = source is client
                    if from_client and self._answers:
                        said += data  # a mark can come in pieces
                        for mark, answer in self._answers.items():
                            if mark in said:
                                client.sendall(answer)
                                lost = True
                    if lost and self._answers:
                        continue
                    if from_client and len(greeting) < _GREETING:
                        greeting += data
                    if fault.to_server_lost if from_client else fault.to_client_lost:
                        lost = True
                    else:
                        self._pass_on(data, server if from_client else client, fault)

    def _pass_on(self, data: bytes, target: socket.socket, fault: _Fault) -> None:
        for start in range(0, len(data), fault.piece):
            target.sendall(data[start : start + fault.piece])
            if fault.pause:
                self._closing.wait(fault.pause)
