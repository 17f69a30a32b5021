"""Passwords and tokens, and where they are read from."""

from __future__ import annotations

import errno
import os
import shlex
import stat
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from dlmon.errors import SettingsError
from dlmon.runtime.polling import wait_until_ready

_TIMEOUT = 30.0  # seconds for a command, or for what writes to a named pipe
_TICK = 0.05
_MAX_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Secret:
    """A text that must not be shown. `read` returns it; nothing else does."""

    _value: str = ""
    _file: Path | None = None
    _command: str | None = None
    _from_pipe: dict[Path, bytes] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def in_file(cls, path: Path) -> Self:
        """The content of a file, without the line end. What a pipe had the first time is kept."""
        return cls(_file=path)

    @classmethod
    def printed_by(cls, command: str) -> Self:
        """The first line that a command prints. command: in a shell's quoting; no shell runs it."""
        return cls(_command=command)

    def read(self) -> str:
        """The secret. A file is read and a command is run each time, so that it can rotate.

        Raises: SettingsError when the file cannot be read, the command fails, or there is nothing.
        """
        if self._file is not None:
            what = f"The password file {self._file}"
            return _text(self._content(self._file), f"{what} is", f"{what} is empty")
        if self._command is not None:
            program, *arguments = shlex.split(self._command)
            what = f"The password command {program}"
            line = _run(program, arguments, what).partition(b"\n")[0]
            return _text(line, f"{what} printed something that is", f"{what} printed nothing")
        return self._value

    def _content(self, path: Path) -> bytes:
        """Of a file as it is now, of a pipe as it was the first time. Raises: SettingsError."""
        if path in self._from_pipe:
            return self._from_pipe[path]
        content, is_pipe = _read_file(path)
        if is_pipe and content:
            self._from_pipe[path] = content
        return content

    @property
    def is_missing(self) -> bool:
        """Whether none was configured."""
        return not self._value and self._file is None and self._command is None

    def __repr__(self) -> str:
        return "***"


def _text(secret: bytes, it_is: str, it_is_empty: str) -> str:
    try:
        text = secret.decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{it_is} not UTF-8 text.") from error
    if not text:
        raise SettingsError(f"{it_is_empty}.")
    if "\0" in text:
        raise SettingsError(f"{it_is} no password: it has a NUL.")
    return text


def _read_file(path: Path) -> tuple[bytes, bool]:
    """What a file has, and whether it is a pipe. Raises: SettingsError."""
    deadline = time.monotonic() + _TIMEOUT
    content = b""
    try:
        # Not to hang in open(2) for a named pipe to which nothing writes.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            is_pipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
            while part := _read(descriptor, deadline):
                content += part
                if len(content) > _MAX_BYTES:
                    raise SettingsError(
                        f"The password file {path} has more than {_MAX_BYTES:,} bytes."
                    )
        finally:
            os.close(descriptor)
    except OSError as error:
        reason = error.strerror
        raise SettingsError(f"Cannot read the password file {path}: {reason}.") from error
    return content, is_pipe


def _read(descriptor: int, deadline: float) -> bytes:
    """The next bytes, none at the end. Raises: OSError; TimeoutError after the deadline."""
    if not wait_until_ready((descriptor,), seconds=deadline - time.monotonic()):
        raise TimeoutError(errno.ETIMEDOUT, f"nothing came within {_TIMEOUT:g} s")
    return os.read(descriptor, _MAX_BYTES)


def _run(program: str, arguments: list[str], what: str) -> bytes:
    """What a command prints. No message quotes its arguments or its output: both may be secret."""
    try:
        process = subprocess.Popen(  # noqa: S603  (who configures dlmon chooses the command)
            [program, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )
    except OSError as error:
        raise SettingsError(f"{what} cannot be run: {error.strerror}.") from error
    with process:
        try:
            printed = _output(process, what)
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise SettingsError(f"{what} failed with exit code {process.returncode}.")
    return printed


def _output(process: subprocess.Popen[bytes], what: str) -> bytes:
    """What a process prints until it ends.

    The end of the output is no sign of that: a child that it leaves behind keeps the pipe open.
    """
    if process.stdout is None:
        raise ValueError("the process was started without a pipe")
    deadline = time.monotonic() + _TIMEOUT
    printed = b""
    pipe = process.stdout.fileno()
    open_pipes = [pipe]
    while time.monotonic() < deadline:
        ended = process.poll() is not None
        if wait_until_ready(open_pipes, seconds=0 if ended else _TICK):
            part = os.read(pipe, _MAX_BYTES)
            printed += part
            if len(printed) > _MAX_BYTES:
                raise SettingsError(f"{what} printed more than {_MAX_BYTES:,} bytes.")
            if not part:
                open_pipes.clear()
        elif ended:
            return printed
    raise SettingsError(f"{what} did not end within {_TIMEOUT:g} s.")
