"""The command as people run it: a process of its own, in a pipe or on a terminal."""

from __future__ import annotations

import logging
import os
import subprocess
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from unittest.mock import patch

import pexpect
from typer.testing import CliRunner

from dlmon.cli import app
from dlmon.config.settings import Settings
from dlmon.config.urls import LocalAddress
from tests.support.environment import bare_environment
from tests.support.processes import DLMON, run, start


class Dlmon:
    """The command, as a process of its own."""

    def __init__(self, settings: Settings, folder: Path, **variables: str) -> None:
        """variables: of the environment, besides those that the settings make."""
        self.folder = folder
        self.environment = {
            **bare_environment(folder),
            "DLMON_LOG_FORMAT": "console",
            "DLMON_BROKER": url_of(settings),
            "DLMON_NAMESPACE": settings.namespace,
            **variables,
        }

    def __call__(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        return run(
            self.command(*arguments),
            self.environment,
            self.folder,
            input=stdin,
            timeout=180,
            text=True,
        )

    def in_this_process(self, *arguments: str) -> str:
        """What it writes to stdout, for tests of what it finds rather than of how it runs.

        Starting a process takes many times as long.

        Raises: what the command raises; AssertionError if it exits with another code than 0.
        """
        with (
            patch.dict(os.environ, self.environment, clear=True),
            chdir(self.folder),
            _unchanged_logging(),
        ):
            result = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    def start(self, *arguments: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
        """Start it, with its output in pipes. stdin: as `subprocess.Popen` takes it."""
        return start(
            self.command(*arguments),
            self.environment,
            self.folder,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def on_terminal(self, *arguments: str, columns: int = 100, rows: int = 40) -> pexpect.spawn:
        """Start it on a terminal."""
        program, *rest = self.command(*arguments)
        return pexpect.spawn(
            program,
            rest,
            env={**self.environment, "TERM": "xterm", "NO_COLOR": "1"},
            cwd=str(self.folder),
            dimensions=(rows, columns),
            encoding="utf-8",
            timeout=90,
        )

    def command(self, *arguments: str) -> list[str]:
        return [*DLMON, *arguments]


def url_of(settings: Settings) -> str:
    """The broker's URL, with its password."""
    if isinstance(settings.broker, LocalAddress):
        return str(settings.broker)
    return str(settings.broker).replace("***", settings.broker.password.read())


@contextmanager
def running(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """A process that is killed at the end, whatever happens before."""
    with process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def _unchanged_logging() -> Iterator[None]:
    """The loggers that a command configures are afterwards as they were."""
    loggers = [logging.getLogger(name) for name in ("dlmon", "pika")]
    before = [(one.handlers, one.level, one.propagate) for one in loggers]
    try:
        yield
    finally:
        for one, (handlers, level, propagate) in zip(loggers, before, strict=True):
            one.handlers, one.propagate = handlers, propagate
            one.setLevel(level)
