"""PostgreSQL for tests: a server of their own, to be broken, or one that is there."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import psycopg

from tests.support.node import free_port
from tests.support.shared import Server

_USER = "postgres"


def program(name: str) -> Path | None:
    """Where a program of a PostgreSQL server is, or None where it is not installed."""
    # Debian keeps them off PATH, in a folder for each version.
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / name).exists():
            return folder / name
    found = shutil.which(name)
    return Path(found) if found else None


def answers(url: str) -> bool:
    """Whether a PostgreSQL is there and lets us in."""
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


class PostgresServer:
    """A server in a temporary folder, on a port of its own; anybody may log in."""

    def __init__(self, *, durable: bool = False) -> None:
        """durable: it waits for the disk, which tests need not: none pulls the plug."""
        self._durable = durable
        # PostgreSQL refuses to run as root, and cannot enter the folders that pytest makes for it.
        self._as = _USER if os.geteuid() == 0 else None
        self._folder = Path(tempfile.mkdtemp(prefix="dlmon-postgres-"))
        if self._as:
            shutil.chown(self._folder, self._as)
        self.port = free_port()
        self._data = self._folder / "data"
        self._run("initdb", "--username", _USER, "--auth", "trust", "--encoding", "UTF8", "-N")

    @property
    def url(self) -> str:
        return f"postgresql://{_USER}@127.0.0.1:{self.port}/{_USER}"

    def start(self) -> None:
        """Start it, unless it runs, and wait until it answers."""
        if not answers(self.url):
            fsync = "" if self._durable else "-F"
            options = f"-h 127.0.0.1 -p {self.port} -k {self._folder} {fsync}"
            self._run("pg_ctl", "start", "-w", "-l", self._folder / "log", "-o", options)

    def stop(self) -> None:
        """As an operator does who cannot wait for clients."""
        self._run("pg_ctl", "stop", "-w", "-m", "fast")

    def kill(self) -> None:
        """Crash: what was not durable is lost."""
        self._run("pg_ctl", "stop", "-w", "-m", "immediate")

    def share(self) -> Server:
        """Let it run on when this process ends, as a server that others use."""
        pid, *_ = (self._data / "postmaster.pid").read_text().splitlines()
        return Server(self.url, int(pid), signal.SIGQUIT, str(self._folder))

    def remove(self) -> None:
        self.kill()
        shutil.rmtree(self._folder)

    def _run(self, name: str, *arguments: str | Path) -> None:
        done = subprocess.run(
            [str(program(name)), "-D", self._data, *arguments],
            user=self._as,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=180,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{name} {arguments}: {done.stdout}")
