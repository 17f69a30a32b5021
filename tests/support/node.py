"""A RabbitMQ node of the tests' own: in a temporary folder, on ports of its own, to be broken."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import closing
from pathlib import Path

from tests.support.shared import Server

_PROGRAMS = (Path("/usr/lib/rabbitmq/bin"), Path("/usr/local/opt/rabbitmq/sbin"))
_BOOT = 180.0
_PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"


def installed(program: str = "rabbitmq-server") -> Path | None:
    """Where RabbitMQ's program is, or None where it is not installed.

    Debian's wrappers on PATH change to a user of their own, so that the folder behind them, which
    runs as anybody, is looked at first.
    """
    for folder in _PROGRAMS:
        if (folder / program).exists():
            return folder / program
    found = shutil.which(program)
    return Path(found) if found else None


def listens(port: int) -> bool:
    """Whether something on this machine takes connections there."""
    with closing(socket.socket()) as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    """A TCP port on loopback that nothing listens on now."""
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class PrivateNode:
    """One node. Its messages are on disk in `folder`, so that a start after a kill finds them."""

    def __init__(self, folder: Path, configuration: str = "", plugins: str = "[].") -> None:
        """configuration: further lines of rabbitmq.conf. plugins: an Erlang list of them."""
        self.port = free_port()
        self._folder = folder
        self.name = f"dlmon-test-{os.getpid()}-{self.port}@localhost"
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "env.conf").touch()
        (folder / "plugins").write_text(plugins)
        (folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\n{configuration}"
        )
        self._environment = os.environ | {
            "HOME": str(folder),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "env.conf"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_NODE_PORT": str(self.port),
        }

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    @property
    def session(self) -> int:
        """The session of its processes. It has to be running."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Make the node answer: boot it, or wake it where it is frozen."""
        if self.running:
            self.thaw()
        else:
            with (self._folder / "console.log").open("ab") as console:
                self._process = subprocess.Popen(
                    [str(installed())],
                    env=self._environment,
                    cwd=self._folder,
                    stdin=subprocess.DEVNULL,
                    stdout=console,
                    stderr=console,
                    start_new_session=True,
                )
        deadline = time.monotonic() + _BOOT
        while not self._answers():
            if not self.running or time.monotonic() > deadline:
                console_text = (self._folder / "console.log").read_text()
                raise RuntimeError(f"RabbitMQ did not boot:\n{console_text}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Shut down as an operator does, with time to tell the clients."""
        self._signal(signal.SIGTERM)
        self._wait()

    def kill(self) -> None:
        """Crash, with nothing flushed and no client told."""
        self._signal(signal.SIGKILL)
        self._wait()

    def freeze(self) -> None:
        """Stop answering without closing anything."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on after `freeze`."""
        self._signal(signal.SIGCONT)

    def share(self) -> Server:
        """Let it run on when this process ends, as a server that others use."""
        assert self._process is not None
        self._process.returncode = 0  # or Popen warns that nothing waits for its end
        return Server(self.url, self._process.pid, signal.SIGKILL, str(self._folder))

    def add_user(self, name: str, password: str, *permissions: str) -> None:
        """permissions: to configure, write and read in the virtual host /, as patterns."""
        self.ctl("add_user", name, password)
        self.ctl("set_permissions", name, *permissions)

    def ctl(self, *arguments: str) -> str:
        """What `rabbitmqctl` prints."""
        done = subprocess.run(
            [str(installed("rabbitmqctl")), "--node", self.name, "--quiet", *arguments],
            env=self._environment,
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"rabbitmqctl {arguments}: {done.stdout}{done.stderr}")
        return done.stdout

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, number)

    def _wait(self) -> None:
        if self._process is not None:
            self._process.wait(timeout=_BOOT)

    def _answers(self) -> bool:
        """Whether the node speaks AMQP: a listening socket alone does not tell."""
        try:
            with closing(socket.create_connection(("127.0.0.1", self.port), timeout=1)) as client:
                client.sendall(_PROTOCOL_HEADER)
                return bool(client.recv(1))
        except OSError:
            return False
