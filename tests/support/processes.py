"""Processes that run `dlmon`."""

from __future__ import annotations

import json
import os
import re
import select
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tests.support.fork_server import EXIT_CODE_BYTES, LARGEST_REQUEST

DLMON = (sys.executable, "-m", "dlmon")

_ROOT = Path(__file__).parents[2]
_READ_AT_THE_START = re.compile("PYTHON|LC_|LANG|LD_|TERM")
"""Variables that Python, its libraries or the dynamic linker read before a command runs."""

_LONGEST_FOLDER = 25_000  # bytes, as JSON


def start(
    command: Sequence[str], env: Mapping[str, str], cwd: Path, **options: Any
) -> subprocess.Popen[Any]:
    """`subprocess.Popen`, but `dlmon` is forked from a process that has imported it.

    command: whatever it is, it is run. options: of the streams, as `subprocess.Popen` takes them.
    """
    if tuple(command[:3]) == DLMON and _may_be_forked(command, env):
        return _Forked(command, env=env, cwd=cwd, **options)
    process: subprocess.Popen[Any] = subprocess.Popen(command, env=env, cwd=cwd, **options)
    return process


def run(
    command: Sequence[str],
    env: Mapping[str, str],
    cwd: Path,
    input: str | bytes,
    timeout: float,
    **options: Any,
) -> subprocess.CompletedProcess[Any]:
    """`subprocess.run` with the output captured, by `start`."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with start(command, env, cwd, **pipes, **options) as process:
        try:
            stdout, stderr = process.communicate(input, timeout)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)


def _may_be_forked(command: Sequence[str], env: Mapping[str, str]) -> bool:
    return (
        sys.platform == "linux"
        and not any(map(_READ_AT_THE_START.match, env))
        and len(_request(command, env, "")) < LARGEST_REQUEST - _LONGEST_FOLDER
    )


def _request(command: Sequence[str], env: Mapping[str, str], folder: str) -> bytes:
    return json.dumps([command[len(DLMON) :], dict(env), folder]).encode()


class _Forked(subprocess.Popen[Any]):
    """A child of the fork server, which reports its exit code."""

    def __init__(self, command: Sequence[str], **options: Any) -> None:
        self._exit_code, self._reported_to = os.pipe()
        weakref.finalize(self, os.close, self._exit_code)
        self._lock = threading.Lock()
        super().__init__(command, **options)

    def _execute_child(
        self,
        args: Sequence[str],
        _executable: None,
        _preexec_fn: None,
        _close_fds: bool,
        _pass_fds: tuple[()],
        cwd: Path,
        env: Mapping[str, str],
        _startupinfo: None,
        _creationflags: int,
        _shell: bool,
        *streams_and_rest: Any,
    ) -> None:
        """Called by `subprocess.Popen` with the file descriptors for both sides of each stream."""
        streams = streams_and_rest[:6]
        stdin, _, _, stdout, _, stderr = streams
        given = [number if one == -1 else one for number, one in enumerate((stdin, stdout, stderr))]
        request = _request(args, env, str(cwd))
        try:
            self.pid = _server().start(request, [*given, self._reported_to])
        finally:
            os.close(self._reported_to)
            self._close_pipe_fds(*streams)  # type: ignore[attr-defined]
        self._child_created = True

    def poll(self) -> int | None:
        with self._lock:
            if self.returncode is None and select.select([self._exit_code], [], [], 0)[0]:
                code = os.read(self._exit_code, EXIT_CODE_BYTES)
                assert code, "the fork server has ended"
                self.returncode = int.from_bytes(code, signed=True)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.poll() is None:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not select.select([self._exit_code], [], [], left)[0]:
                assert timeout is not None
                raise subprocess.TimeoutExpired(self.args, timeout)
        code: int = self.returncode
        return code

    def _internal_poll(self, *_: object, **__: object) -> int | None:
        """Called by `subprocess` when nobody has waited for the process."""
        return self.poll()


class _Server:
    """A process that runs `tests.support.fork_server`, until this one ends."""

    def __init__(self) -> None:
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        with theirs:
            self._process: subprocess.Popen[bytes] = subprocess.Popen(
                [sys.executable, "-m", "tests.support.fork_server"],
                stdin=theirs.fileno(),
                cwd=_ROOT,
                env={"PATH": os.environ["PATH"]},  # coverage is for its children
            )
        # It ends with this process, and nothing has to wait for that.
        self._process.returncode = 0

    def start(self, request: bytes, descriptors: Sequence[int]) -> int:
        """The id of the new process."""
        with self._lock:
            socket.send_fds(self._requests, [request], descriptors)
            return int(self._requests.recv(20))


@cache
def _server() -> _Server:
    """The one of this process."""
    return _Server()


def _forget_server() -> None:
    _server.cache_clear()


os.register_at_fork(after_in_child=_forget_server)
