"""`dlmon serve` as a process, and what it uses."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from benchmarks.rounds import ROOT

_TICKS = os.sysconf("SC_CLK_TCK")
_PATIENCE = 600.0  # seconds


class Server:
    """A server that a browser is logged in to. peak: resident bytes."""

    def __init__(self, process: subprocess.Popen[str], address: str) -> None:
        self._proc = Path("/proc", str(process.pid))
        self.origin = address.partition("/?")[0]
        self._browser = httpx.Client(base_url=self.origin, timeout=_PATIENCE)
        assert self._browser.get(address).status_code == 303

    @property
    def cookie(self) -> str:
        (cookie,) = self._browser.cookies.jar
        return f"{cookie.name}={cookie.value}"

    def get(self, path: str) -> Any:
        """What a path answers, parsed."""
        return self._browser.get(path).raise_for_status().json()

    def post(self, path: str, body: object) -> Any:
        """What a path answers to what the page would send, parsed."""
        headers = {
            "Origin": self.origin,
            "Sec-Fetch-Site": "same-origin",
            "Content-Type": "application/json",
        }
        answer = self._browser.post(path, content=json.dumps(body), headers=headers)
        return answer.raise_for_status().json()

    def states(self, seconds: float) -> Iterator[tuple[float, Any]]:
        """Each state that a browser hears of within some seconds, with the time it came."""
        ends = time.time() + seconds
        with self._browser.stream("GET", "/api/stream") as stream:
            for line in stream.iter_lines():
                now = time.time()
                if line.startswith("data: {"):
                    yield now, json.loads(line.removeprefix("data: "))
                if now > ends:
                    return

    def wait_until_summarised(self, events: int, *, all_of_them: bool = True) -> None:
        """Return once the page knows so many events.

        all_of_them: they are all that the store has."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            state = self.get("/api/state")
            done = state["summarising"] is None or not all_of_them
            if done and (state["stored"]["count"] or 0) >= events:
                return
            assert time.monotonic() < deadline, state
            time.sleep(0.1)

    def cpu(self) -> float:
        """Seconds of a core that it has used."""
        fields = (self._proc / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def resident(self) -> int:
        """Bytes that are resident now."""
        return self._memory("VmRSS")

    def peak(self) -> int:
        """The most bytes that were resident."""
        return self._memory("VmHWM")

    def close(self) -> None:
        self._browser.close()

    def _memory(self, name: str) -> int:
        status = (self._proc / "status").read_text()
        (kilobytes,) = re.findall(rf"^{name}:\s+(\d+) kB", status, re.M)
        return 1024 * int(kilobytes)


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """A server over the store and the local broker in a folder, until the end of the block."""
    environment = {
        **os.environ,
        "HOME": str(folder),
        "DLMON_BROKER": f"sqlite:///{folder}/broker.db",
        "DLMON_STORE": f"sqlite:///{folder}/events.db",
    }
    command = [sys.executable, "-m", "dlmon", "serve", "--port", "0"]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    try:
        (address,) = re.findall(r"Open (\S+)", process.stderr.readline())
        server = Server(process, address)
        try:
            yield server
        finally:
            server.close()
    finally:
        process.terminate()
        process.communicate(timeout=30)
