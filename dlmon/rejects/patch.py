"""One correction for many events, written in jq, and applied in a process of its own.

jq can read the environment and files, need not end, and aborts its process for want of memory. So
it runs in a child process that has no environment, an empty folder, and limits of memory, open
files and time (`dlmon.rejects.patch_process`). Events go there and back many at a time.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, TypeAlias

import orjson

from dlmon.errors import Interrupted, UsageError
from dlmon.event import MAX_EVENT_BYTES
from dlmon.rejects import patch_process
from dlmon.rejects.jq_words import forbidden_word
from dlmon.runtime.closeable import Closeable
from dlmon.runtime.stop import Stop

SECONDS = 5.0
"""How long a patch may take for one event. jq takes microseconds."""

MEMORY = 512 * 1024 * 1024
"""Bytes of address space of the process that a patch runs in; some 50 MB are Python's own. Where
events may be larger than 8 MB, it is 64 times as much as one: jq needs many bytes for each."""

# Failures that ended the process. For other events, the patch goes on in a new one.
_MAX_FAILURES = 10
_MAX_FAILURES_IN_A_ROW = 2
_SECONDS_AFTER_FAILURE = 1.0
_START_SECONDS = 15.0  # of a new process, until it has the expression: a machine can be busy
_READ_BYTES = 256 * 1024
_TICK = 0.1  # seconds after which a stop request is noticed
_EXITING = 5.0  # seconds for a process to end after it was killed

_log = logging.getLogger(__name__)


class PatchFailure(NamedTuple):
    """Why a patch cannot be applied to an event."""

    reason: str


PatchResult: TypeAlias = bytes | PatchFailure
"""An event after a patch as JSON, or why it could not be applied."""


class Patch(Closeable):
    """A jq expression that turns an event into the event it should have been.

    jq and not JSON Patch (RFC 6902), because a correction computes from what is there:
    `.download_speed |= tonumber`, `.file_size *= 1024`; JSON Patch can only put the same value
    everywhere. JMESPath calculates nothing, and rebuilds an object to change a member of it.

    Use as a context manager: it holds a process.
    """

    def __init__(
        self, expression: str, max_bytes: int = MAX_EVENT_BYTES, seconds: float = SECONDS
    ) -> None:
        """max_bytes: of a corrected event. seconds: for one event.

        Raises: UsageError when `expression` is no jq, or uses what a patch must not.
        """
        if found := forbidden_word(expression):
            word, what = found
            raise UsageError(
                f"The patch uses `{word}`, which {what}. A patch gets one event and gives one: "
                "write it without."
            )
        self._expression = expression
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._failures = 0
        self._failures_in_a_row = 0
        self._process: _PatchProcess | None = None
        self._start()

    def apply(self, values: Sequence[Any], stop: Stop | None = None) -> list[PatchResult]:
        """Each event after the patch.

        values: events as `dlmon.validation.validator` parsed them.

        Raises: UsageError when the patch ends its process again and again. Interrupted at a stop
        request.
        """
        requests = [orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE) for value in values]
        results: list[PatchResult] = []
        while len(results) < len(requests):
            first = len(results)
            # After a failure, the next event shows whether the patch is at fault or the event was.
            alone = self._failures_in_a_row > 0
            seconds = min(_SECONDS_AFTER_FAILURE, self._seconds) if alone else self._seconds
            asked = requests[first : first + 1] if alone else requests[first:]
            lines, failure = self._ask(asked, seconds, stop)
            results += map(_result, lines)
            if lines:
                self._failures_in_a_row = 0
            if failure:
                self._count_failure(failure)
                results.append(PatchFailure(f"the patch {failure}"))
        return results

    def close(self) -> None:
        if self._process is not None:
            self._process.end()
            self._process = None

    def _start(self) -> None:
        """Start a process and give it the expression. Raises: UsageError."""
        self._process = _PatchProcess(self._max_bytes, self._seconds)
        lines, failure = self._ask([orjson.dumps(self._expression) + b"\n"], _START_SECONDS, None)
        if failure:
            raise UsageError(f"{self._name} cannot be used: before any event, it {failure}.")
        (line,) = lines
        if not line.startswith(b"="):
            self.close()
            # What is wrong, of all that jq says.
            said = str(orjson.loads(line[1:])).partition("\n")[0]
            reason = said.removeprefix("jq: error: ").rstrip(":")
            raise UsageError(f"{self._name} is no jq expression: {reason}.")
        for what in orjson.loads(line[1:]):
            _log.warning("This system cannot limit the %s of a patch.", what)

    def _ask(
        self, requests: Sequence[bytes], seconds: float, stop: Stop | None
    ) -> tuple[list[bytes], str]:
        """Answers, and what the patch did instead of giving the next one (empty: all were given).

        Without its process after a failure.
        """
        if self._process is None:
            self._start()
            assert self._process is not None  # noqa: S101
        answered = False
        try:
            lines, failure = self._process.ask(requests, seconds, stop)
            answered = not failure
        finally:
            if not answered:
                self.close()
        return lines, failure

    def _count_failure(self, failure: str) -> None:
        """Raises: UsageError when it is time to give up."""
        self._failures += 1
        self._failures_in_a_row += 1
        if self._failures_in_a_row == _MAX_FAILURES_IN_A_ROW or self._failures == _MAX_FAILURES:
            raise UsageError(
                f"{self._name} {failure}, for event after event ({self._failures} so far): "
                "correct it, or select the events that it is for by filters."
            )

    @property
    def _name(self) -> str:
        return f"The patch {self._expression!r}"


class _PatchProcess:
    """A child process that patches events."""

    def __init__(self, max_bytes: int, seconds: float) -> None:
        """Raises: UsageError when it cannot be started."""
        self._memory = max(MEMORY, 64 * max_bytes)
        limits = [str(self._memory), str(max_bytes), str(seconds)]
        command = [sys.executable, "-I", "-S", "-B", patch_process.__file__, *limits, *_libraries()]
        try:
            # The folder is removed at once: the process stays in it, and nothing gets in.
            with TemporaryDirectory(prefix="dlmon-patch-") as folder:
                self._process = subprocess.Popen(  # noqa: S603  (our own program)
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    bufsize=0,
                    env={},
                    cwd=folder,
                    start_new_session=True,  # Ctrl-C is for dlmon, which ends it
                )
        except OSError as error:
            raise UsageError(
                f"Cannot start the process that a patch runs in: {error.strerror}."
            ) from error
        self._stdin, self._stdout, self._stderr = (
            pipe.fileno()
            for pipe in (self._process.stdin, self._process.stdout, self._process.stderr)
            if pipe is not None  # none is: for type checkers
        )
        os.set_blocking(self._stdin, False)
        self._received = b""  # the beginning of an answer

    def ask(
        self, requests: Sequence[bytes], seconds: float, stop: Stop | None
    ) -> tuple[list[bytes], str]:
        """The answers to these requests, in order, and what the patch did instead of giving the
        next one (empty: all were given).

        seconds: for each answer. Raises: Interrupted at a stop request.
        """
        unsent = memoryview(b"".join(requests))
        lines: list[bytes] = []
        deadline = time.monotonic() + seconds
        while len(lines) < len(requests):
            readable, writable = self._wait(to_send=bool(unsent))
            if stop is not None and stop.requested:
                raise Interrupted("The patch was stopped.")
            if writable:
                unsent = self._send(unsent)
            if readable:
                data = os.read(self._stdout, _READ_BYTES)
                if not data:
                    return lines, self._why_ended(seconds)
                *complete, self._received = (self._received + data).split(b"\n")
                if complete:
                    lines += complete
                    deadline = time.monotonic() + seconds
            elif time.monotonic() >= deadline:
                return lines, _did_not_end(seconds)
        return lines, ""

    def end(self) -> None:
        """End the process, whatever it is doing."""
        with self._process:  # closes the pipes and waits
            self._process.kill()

    def _wait(self, *, to_send: bool) -> tuple[bool, bool]:
        """Whether there is something to read, or the end, and whether more can be sent."""
        poll = select.poll()
        poll.register(self._stdout, select.POLLIN)
        if to_send:
            poll.register(self._stdin, select.POLLOUT)
        ready = dict(poll.poll(1000 * _TICK))
        return self._stdout in ready, self._stdin in ready

    def _send(self, unsent: memoryview) -> memoryview:
        """Send as much as the pipe takes; returns the rest."""
        try:
            return unsent[os.write(self._stdin, unsent) :]
        except BrokenPipeError:
            return unsent[:0]  # the process has ended: the end of its stdout says so

    def _why_ended(self, seconds: float) -> str:
        """What the patch did, when the process has ended by itself."""
        code = self._process.wait()
        said = os.read(self._stderr, _READ_BYTES)
        if code in (-signal.SIGPROF, -signal.SIGXCPU):
            return _did_not_end(seconds)
        if code == patch_process.NO_MEMORY or b"memory" in said:
            return f"took more than {self._memory // 2**20} MB of memory"
        if code < 0:
            return f"ended its process ({signal.Signals(-code).name})"
        return f"ended its process (exit code {code})"


def _did_not_end(seconds: float) -> str:
    return f"did not end within {seconds:g} s"


def _result(line: bytes) -> PatchResult:
    if line.startswith(b"="):
        return line[1:]
    return PatchFailure(orjson.loads(line[1:]))


def _libraries() -> list[str]:
    """The folders that the libraries of the process are in.

    Raises: UsageError when one is not installed.
    """
    folders = []
    for name in ("jq", "orjson"):
        spec = find_spec(name)  # does not import it
        if spec is None or spec.origin is None:
            raise UsageError(f"--patch needs the Python package {name}, which is not installed.")
        path = Path(spec.origin)
        folders.append(str(path.parent.parent if spec.submodule_search_locations else path.parent))
    return folders
