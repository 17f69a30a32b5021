"""What Prometheus, load balancers and people get from the address of `--metrics`."""

from __future__ import annotations

import http.client
import socket
import struct
from collections.abc import Iterator
from contextlib import closing

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from dlmon.errors import UsageError
from dlmon.monitoring.metrics_server import PortTaken, serve
from dlmon.monitoring.observers import ConsumeObserver
from dlmon.monitoring.prometheus import ConsumerMetrics
from tests.support.node import free_port


@pytest.fixture
def port() -> Iterator[int]:
    port = free_port()
    metrics = ConsumerMetrics(ConsumeObserver(), None)
    with serve("127.0.0.1", port, metrics, metrics.problem):
        yield port


def has_ipv6() -> bool:
    with closing(socket.socket(socket.AF_INET6)) as one:
        try:
            one.bind(("::1", 0))
        except OSError:
            return False
    return True


def ask(
    port: int, path: str = "/metrics", method: str = "GET", host: str = "127.0.0.1", **headers: str
) -> tuple[http.client.HTTPResponse, bytes]:
    with closing(http.client.HTTPConnection(host, port, timeout=60)) as client:
        client.request(method, path, headers=headers)
        response = client.getresponse()
        return response, response.read()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_addresses_of_both_families_and_names_are_served(host: str) -> None:
    if host == "::1" and not has_ipv6():
        pytest.skip("this machine has no IPv6, as many containers")
    port = free_port()
    metrics = ConsumerMetrics(ConsumeObserver(), None)
    with serve(host, port, metrics, metrics.problem):
        response, body = ask(port, "/healthz", host="::1" if host == "::1" else "127.0.0.1")
    assert (response.status, body) == (200, b"ok")


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("192.0.2.1", r"192\.0\.2\.1:\d+ \(Cannot assign"),
        ("2001:db8::1", r"\[2001:db8::1\]:\d+ \("),
        ("no.such.host.invalid", "no.such.host.invalid"),
        ("x" * 64 + ".example", "not the name of a host"),
        ("a\0b", "cannot listen at"),
        ("a..b", "not the name of a host"),
    ],
)
def test_an_address_that_cannot_be_served_is_named(host: str, words: str) -> None:
    metrics = ConsumerMetrics(ConsumeObserver(), None)
    with pytest.raises(UsageError, match=words), serve(host, free_port(), metrics, lambda: None):
        pass


def test_a_port_that_is_taken_is_told_apart(port: int) -> None:
    metrics = ConsumerMetrics(ConsumeObserver(), None)
    with (
        pytest.raises(PortTaken, match=f"127.0.0.1:{port}"),
        serve("127.0.0.1", port, metrics, lambda: None),
    ):
        pass


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/other"])
def test_head_gets_the_headers_of_get_without_the_body(port: int, path: str) -> None:
    head, nothing = ask(port, path, "HEAD")
    got, body = ask(port, path)
    assert nothing == b""
    assert head.status == got.status
    assert head.headers["Content-Type"] == got.headers["Content-Type"]
    assert int(head.headers["Content-Length"]) == len(body)


# What Prometheus 2 and 3 send.
PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0;q=0.75,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=0.0.4;q=0.25,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.5,*/*;q=0.2"
)


@pytest.mark.parametrize("accept", [PROMETHEUS_2, PROMETHEUS_3, "application/openmetrics-text"])
def test_openmetrics_is_given_to_those_who_accept_it(port: int, accept: str) -> None:
    response, body = ask(port, Accept=accept)
    assert response.headers["Content-Type"].startswith("application/openmetrics-text")
    families = openmetrics(body.decode())  # type: ignore[no-untyped-call]
    names = {family.name for family in families}
    assert {"dlmon_healthy", "dlmon_events_received"} <= names


@pytest.mark.parametrize(
    "accept",
    ["", "*/*", "text/html", "text/plain;version=0.0.4", "text/plain;version=x", ";;,=", "ä"],
)
def test_the_plain_format_is_given_to_all_others(port: int, accept: str) -> None:
    response, body = ask(port, Accept=accept)
    assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    names = {family.name for family in plain(body.decode())}
    assert {"dlmon_healthy", "dlmon_events_received"} <= names


def test_a_client_that_breaks_the_connection_leaves_no_traceback(
    port: int, capfd: pytest.CaptureFixture[str]
) -> None:
    for request in (b"", b"GET /met", b"GET /metrics HTTP/1.0\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
            client.sendall(request)
            # At close, RST in place of FIN.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert ask(port, "/healthz")[0].status == 200
    assert capfd.readouterr().err == ""
