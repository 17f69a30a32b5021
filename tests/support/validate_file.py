"""`dlmon validate-file` as people run it: a process of its own, on bytes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pexpect


class ValidateFile:
    """The command, in a folder where nothing else is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}

    def __call__(self, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run it to its end."""
        return subprocess.run(
            self.command(*arguments),
            env=self._environment,
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            timeout=120,
            check=False,
        )

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start it, with everything in pipes."""
        return subprocess.Popen(
            self.command(*arguments),
            env=self._environment,
            cwd=self.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
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
            timeout=30,
        )

    def command(self, *arguments: str) -> list[str]:
        """Its arguments, the program among them."""
        return [sys.executable, "-m", "dlmon", "validate-file", *arguments]
