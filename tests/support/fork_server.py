"""Starts `dlmon` by forking a process that has imported it, in a tenth of the time of a start.

The command is a process of its own as ever, with the arguments, environment, folder and streams
that it is given, and the default signals. Only what Python reads before it runs any program is
that of the server: `processes.start` starts Python itself where this matters.

This module runs in the server: `python -m tests.support.fork_server`, with a socket as stdin.
"""

from __future__ import annotations

import atexit
import importlib
import io
import json
import os
import pkgutil
import select
import socket
import sys
import threading
import time
from contextlib import suppress
from typing import Any, NoReturn

LARGEST_REQUEST = 65_536
"""Bytes of a request, which is the JSON list [arguments, environment, folder]. With it come the
file descriptors of stdin, stdout and stderr, and one for the exit code."""

EXIT_CODE_BYTES = 2


def main() -> None:
    """Fork for each request, until the socket is closed."""
    import_commands()
    with socket.socket(fileno=os.dup(0)) as requests:
        _serve(requests)


def import_commands() -> None:
    """Import all that `dlmon` consists of, and what it imports itself."""
    import dlmon

    for module in pkgutil.walk_packages(dlmon.__path__, "dlmon."):
        # A store's library may be missing; the command that needs it says so.
        with suppress(ImportError):
            importlib.import_module(module.name)
    with suppress(ImportError):
        importlib.import_module("coverage")


def _serve(requests: socket.socket) -> None:
    exit_codes: dict[int, tuple[int, int]] = {}  # of a process: its id, and where its code goes
    socket_number = requests.fileno()
    while True:
        ready, _, _ = select.select([socket_number, *exit_codes], [], [])
        for process in exit_codes.keys() & set(ready):
            pid, exit_code = exit_codes.pop(process)
            os.close(process)
            _report(pid, exit_code)
        if socket_number in ready:
            request, descriptors, _, _ = socket.recv_fds(requests, LARGEST_REQUEST, 4)
            if not request:
                return
            *streams, exit_code = descriptors
            pid = os.fork()
            if pid == 0:
                requests.close()
                for descriptor in (exit_code, *exit_codes, *(b for _, b in exit_codes.values())):
                    os.close(descriptor)
                arguments, environment, folder = json.loads(request)
                _run(arguments, environment, folder, streams)
            for stream in streams:
                os.close(stream)
            exit_codes[os.pidfd_open(pid)] = pid, exit_code
            requests.send(str(pid).encode())


def _report(pid: int, exit_code: int) -> None:
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    with suppress(BrokenPipeError):  # nobody waits for it any more
        os.write(exit_code, code.to_bytes(EXIT_CODE_BYTES, signed=True))
    os.close(exit_code)


def _run(
    arguments: list[str], environment: dict[str, str], folder: str, streams: list[int]
) -> NoReturn:
    """Do as `python -m dlmon` does, and end the process."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    _measure()
    _open_streams()
    program = importlib.import_module("dlmon.__main__")
    sys.modules["__main__"] = program  # which multiprocessing looks at
    sys.path[0] = folder
    sys.argv = [str(program.__file__), *arguments]
    try:
        program.main()
    except SystemExit as end:
        if isinstance(end.code, int):
            _exit(end.code)
        raise
    raise AssertionError("dlmon ends with an exit code")


def _measure() -> None:
    """Have coverage measure this process where the environment says so, as its own hook does when
    Python starts."""
    if "COVERAGE_PROCESS_CONFIG" in os.environ:
        importlib.import_module("coverage").process_startup(force=True)


def _open_streams() -> None:
    """Make `sys.stdin`, `sys.stdout` and `sys.stderr` as Python does at its start."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        server = getattr(sys, f"__{name}__")
        buffer: Any = open(number, f"{mode}b", closefd=False)  # noqa: SIM115
        buffer.raw.name = f"<{name}>"
        stream: Any = io.TextIOWrapper(
            buffer,
            server.encoding,
            server.errors,
            newline="\n",
            line_buffering=name == "stderr" or buffer.raw.isatty(),
        )
        stream.mode = mode
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _exit(code: int) -> NoReturn:
    """End as Python does, but without clearing all modules, which takes as long as a fork."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            code = 120
    os._exit(code)


if __name__ == "__main__":
    main()
