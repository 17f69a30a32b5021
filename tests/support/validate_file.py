"""`dlmon validate-file` as people run it: a process of its own, on bytes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pexpect

from tests.support.environment import bare_environment
from tests.support.processes import DLMON, run, start


class ValidateFile:
    """The command, in a folder where nothing else is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._environment = bare_environment(folder)

    def __call__(
        self, *arguments: str, stdin: bytes = b"", **variables: str
    ) -> subprocess.CompletedProcess[bytes]:
        """Run it to its end. variables: more of the environment."""
        return run(
            self.command(*arguments),
            self._environment | variables,
            self.folder,
            input=stdin,
            timeout=120,
        )

    def in_shell(self, line: str) -> subprocess.CompletedProcess[bytes]:
        """Run a line of the shell, in which `dlmon` is the command."""
        return subprocess.run(
            ["bash", "-c", f'dlmon() {{ "$PYTHON" -m dlmon "$@"; }}; {line}'],
            env={**self._environment, "PYTHON": sys.executable},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=120,
            check=False,
        )

    def start(
        self, *arguments: str, stdout: int = subprocess.PIPE, **variables: str
    ) -> subprocess.Popen[bytes]:
        """Start it, with everything in pipes. variables: more of the environment."""
        return start(
            self.command(*arguments),
            self._environment | variables,
            self.folder,
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=subprocess.PIPE,
        )

    def on_terminal(self, *arguments: str, columns: int = 100) -> pexpect.spawn:
        """Start it on a terminal."""
        program, *rest = self.command(*arguments)
        return pexpect.spawn(
            program,
            rest,
            env={**self._environment, "TERM": "xterm", "NO_COLOR": "1"},
            cwd=str(self.folder),
            dimensions=(40, columns),
            encoding="utf-8",
            timeout=90,
        )

    def command(self, *arguments: str) -> list[str]:
        """Its arguments, the program among them."""
        return [*DLMON, "validate-file", *arguments]
