"""What may answer in place of RabbitMQ's management API, and what it gets to know."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from dlmon.brokers.rabbitmq.management import NotShown, read_queue, urls
from dlmon.config.settings import Settings
from dlmon.config.urls import RabbitMQAddress

Handler = http.server.BaseHTTPRequestHandler


@contextmanager
def server(answer: Callable[[Handler], None]) -> Iterator[tuple[str, list[str]]]:
    """An HTTP server with such an answer; yields its URL, and the logins it was sent."""
    logins: list[str] = []

    class Answering(Handler):
        def do_GET(self) -> None:  # noqa: N802  (http.server names it)
            logins.append(self.headers.get("Authorization", ""))
            answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.server_address[1]}", logins
        finally:
            listening.shutdown()
            thread.join()


def address(url: str = "amqp://ada:secret@127.0.0.1/") -> RabbitMQAddress:
    found = Settings.for_url(url).broker
    assert isinstance(found, RabbitMQAddress)
    return found


def send(body: bytes, code: int = 200, **headers: str) -> Callable[[Handler], None]:
    def answer(handler: Handler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def drip(handler: Handler) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _ in range(100):
        try:
            handler.wfile.write(b" ")
        except OSError:
            return
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (send(b"<html>"), "answers something else"),
        (send(b"[]"), "answers something else"),
        (send(b'{"type": "quorum"}'), "answers something else"),
        (send(b"[" * 100_000), "answers something else"),
        (send(b" " * 3_000_000), "does not end"),
        (send(b"", 404), "answers 404"),
        (send(b"", 401), "needs the tag monitoring"),
        (lambda handler: handler.wfile.write(b"AMQP\0\0\t\1"), "answers something else"),
        (lambda _: None, "Remote end closed connection"),
        (drip, "does not end"),
    ],
)
def test_what_is_no_management_api_is_said_in_time(
    answer: Callable[[Handler], None], words: str
) -> None:
    started = time.monotonic()
    with server(answer) as (url, _), pytest.raises(NotShown, match=words):
        read_queue(url, address(), "dlmon.rejects")
    assert time.monotonic() - started < 30


def test_the_login_is_not_sent_to_where_an_answer_leads() -> None:
    with server(send(b"{}")) as (elsewhere, seen):
        redirect = send(b"", 302, Location=f"{elsewhere}/api")
        with server(redirect) as (url, _), pytest.raises(NotShown, match="answers 302"):
            read_queue(url, address(), "dlmon.rejects")
    assert seen == []


def test_the_login_is_not_sent_to_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    found = (
        b'{"type": "quorum", "arguments": {}, "policy": "mine", "durable": true,'
        b' "auto_delete": false}'
    )
    with server(send(b"{}")) as (proxy, seen), server(send(found)) as (url, logins):
        monkeypatch.setenv("http_proxy", proxy)
        monkeypatch.setenv("ALL_PROXY", proxy)
        assert read_queue(url, address(), "dlmon.rejects").policies == ("mine",)
    assert seen == []
    assert logins == ["Basic YWRhOnNlY3JldA=="]


@pytest.mark.parametrize(
    ("broker", "given", "expected"),
    [
        ("amqp://a,b:1/", None, ["http://a:15672", "http://b:15672"]),
        ("amqps://a/", None, ["https://a:15671"]),
        ("amqp://[::1]/", None, ["http://[::1]:15672"]),
        ("amqp://a/", "https://b/prefix/", ["https://b/prefix"]),
    ],
)
def test_where_it_is_looked_for(broker: str, given: str | None, expected: list[str]) -> None:
    assert urls(address(broker), given) == expected
