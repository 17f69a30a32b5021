"""A RabbitMQ that does not answer: said with the ways out, or waited for."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pika
import pytest

from dlmon.config.settings import Settings
from tests.support.dlmon import Dlmon
from tests.support.messages import PATIENCE
from tests.support.node import PrivateNode, free_port
from tests.support.proxy import Proxy

COMMANDS = [["consume"], ["produce"], ["inspect-rejects"], ["status"]]
GONE = "amqp://guest:geheim@127.0.0.1:{}/"


@contextmanager
def server(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """Something that listens, and has its own answer for each who connects; yields its port."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        connected: list[socket.socket] = []

        def serve() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                connected.append(client)
                answer(client)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for client in connected:
            client.close()


def _say_nothing(_client: socket.socket) -> None:
    pass


def _speak_http(client: socket.socket) -> None:
    client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def _hang_up(client: socket.socket) -> None:
    client.close()


def _hang_up_at_the_login(client: socket.socket) -> None:
    start = pika.spec.Connection.Start(server_properties={}, mechanisms="PLAIN", locales="en_US")
    client.sendall(pika.frame.Method(0, start).marshal())
    client.recv(8)  # the protocol header
    client.recv(4096)
    client.close()


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_nothing_listens(dlmon: Dlmon, command: list[str]) -> None:
    result = dlmon(*command, "--broker", GONE.format(free_port()))
    assert (result.returncode, result.stdout) == (3, "")
    [line] = result.stderr.splitlines()
    assert line.startswith("dlmon: Cannot reach RabbitMQ at amqp://guest:***@127.0.0.1:")
    for way_out in ("docker compose up", "--wait SECONDS", "--broker local"):
        assert way_out in line


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (_say_nothing, "no AMQP handshake within 0.5 s"),
        (_speak_http, "no AMQP handshake"),
        (_hang_up, "it closed the connection before the login"),
        (_hang_up_at_the_login, "it closed the connection before the login"),
    ],
)
def test_what_answers_is_no_rabbitmq(
    rabbitmq_settings: Settings,
    tmp_path: Path,
    answer: Callable[[socket.socket], None],
    words: str,
) -> None:
    dlmon = Dlmon(rabbitmq_settings, tmp_path, DLMON_CONNECT_TIMEOUT="0.5")
    with server(answer) as port:
        result = dlmon("consume", "--broker", GONE.format(port))
    assert (result.returncode, result.stdout) == (3, "")
    [line] = result.stderr.splitlines()
    assert words in line
    assert "--broker local" in line


def test_a_name_that_leads_nowhere(dlmon: Dlmon) -> None:
    result = dlmon("consume", "--broker", "amqp://host.invalid/")
    assert (result.returncode, result.stdout) == (3, "")
    [line] = result.stderr.splitlines()
    assert "Cannot reach RabbitMQ at amqp://guest:***@host.invalid:5672/" in line


def test_waiting_ends_when_the_time_is_over(dlmon: Dlmon) -> None:
    started = time.monotonic()
    result = dlmon("consume", "--broker", GONE.format(free_port()), "--wait", "1.5")
    assert result.returncode == 3
    assert time.monotonic() - started > 1.5
    assert result.stderr.splitlines()[-1].startswith("dlmon: Cannot reach")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_ends_waiting(dlmon: Dlmon, number: signal.Signals) -> None:
    with dlmon.start("consume", "--broker", GONE.format(free_port()), "--wait", "60") as process:
        assert process.stderr is not None
        assert "Connecting again" in process.stderr.readline()
        process.send_signal(number)
        assert process.wait(timeout=PATIENCE) == 130
        assert "did not finish" not in process.stderr.read()


@pytest.mark.parametrize(
    "command", [["consume", "--until-empty"], ["produce", "--count", "1"]], ids=lambda c: c[0]
)
def test_what_comes_while_waiting_is_used(
    private_node: PrivateNode, private_settings: Settings, tmp_path: Path, command: list[str]
) -> None:
    port = free_port()
    dlmon = Dlmon(private_settings, tmp_path)
    url = private_node.url.replace(f":{private_node.port}/", f":{port}/")
    with dlmon.start(*command, "--broker", url, "--wait", "60") as process:
        assert process.stderr is not None
        assert "Connecting again" in process.stderr.readline()
        with Proxy(private_node.port, port):
            assert process.wait(timeout=90) == 0


def test_of_several_hosts_one_is_enough(
    private_node: PrivateNode, private_settings: Settings, tmp_path: Path
) -> None:
    hosts = f"127.0.0.1:{free_port()},127.0.0.1:{private_node.port}"
    for _ in range(4):  # they are tried in random order
        result = Dlmon(private_settings, tmp_path)("status", "--broker", f"amqp://{hosts}/")
        assert result.returncode == 0, result.stderr
