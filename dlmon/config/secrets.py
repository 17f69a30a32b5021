"""Passwords and tokens, and where they are read from."""

from __future__ import annotations

import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

from dlmon.errors import SettingsError

_COMMAND_TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class Secret:
    """A text that must not be shown. `read` gives it; nothing else does."""

    _value: str = ""
    _file: Path | None = None
    _command: str | None = None

    def read(self) -> str:
        """The secret. A file is read and a command is run each time, so that it can rotate.

        Raises: SettingsError when the file cannot be read, or the command fails.
        """
        if self._file is not None:
            return _read_file(self._file)
        if self._command is not None:
            return _run(self._command)
        return self._value

    def __repr__(self) -> str:
        return "***"


def _read_file(path: Path) -> str:
    try:
        return path.read_text("utf-8").rstrip("\r\n")
    except OSError as error:
        reason = error.strerror
        raise SettingsError(f"Cannot read the password file {path}: {reason}.") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"The password file {path} is not UTF-8 text.") from error


def _run(command: str) -> str:
    """The first line that a command prints. No message quotes its arguments or its output: both
    may have secrets in them."""
    program, *arguments = shlex.split(command)
    try:
        done = subprocess.run(  # noqa: S603  (whoever configures dlmon chooses the command)
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            timeout=_COMMAND_TIMEOUT,
            check=True,
        )
        return done.stdout.decode().partition("\n")[0].rstrip("\r")
    except OSError as error:
        reason = f"cannot be run: {error.strerror}"
    except subprocess.TimeoutExpired:
        reason = f"did not end within {_COMMAND_TIMEOUT:g} s"
    except subprocess.CalledProcessError as error:
        reason = f"failed with exit code {error.returncode}"
    except UnicodeDecodeError:
        reason = "printed something that is not UTF-8 text"
    raise SettingsError(f"The password command {program} {reason}.")
