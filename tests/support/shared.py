"""Servers that all processes of a test run share.

The first test that needs a server starts it, whatever process that test runs in. The process that
began the run ends it, since it outlives the others.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

_END_WITHIN = 20.0


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs, in a process group of its own.

    signal: what ends the group at once. folder: its data.
    """

    url: str
    pid: int
    signal: int
    folder: str

    def end(self) -> None:
        """End it and remove its data."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, self.signal)
        deadline = time.monotonic() + _END_WITHIN
        while _runs(self.pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        shutil.rmtree(self.folder, ignore_errors=True)


class SharedServers:
    """The servers of one run. folder: where its processes find them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def create(cls) -> SharedServers:
        """In a new folder, which `end` removes."""
        return cls(Path(tempfile.mkdtemp(prefix="dlmon-servers-")))

    @property
    def folder(self) -> Path:
        return self._folder

    def url(self, name: str, start: Callable[[], Server]) -> str:
        """Where the server of this name is. start: called in one process of the run, once."""
        record = self._folder / f"{name}.json"
        with (self._folder / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not record.exists():
                record.write_text(json.dumps(asdict(start())))
        return _read(record).url

    def end(self) -> None:
        """End all of them."""
        for record in self._folder.glob("*.json"):
            _read(record).end()
        shutil.rmtree(self._folder)


def _read(record: Path) -> Server:
    return Server(**json.loads(record.read_text()))


def _runs(pid: int) -> bool:
    with suppress(ChildProcessError):  # in the process that started it, it must be waited for
        os.waitpid(pid, os.WNOHANG)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
