"""amqps:// against a node with certificates made here."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from dlmon.brokers import open_broker
from dlmon.config.settings import Settings, load_settings
from dlmon.errors import BrokerRefused, SettingsError
from dlmon.messages import Queue
from tests.support.messages import ids, in_queue, make_messages, wait_until
from tests.support.node import PrivateNode, free_port, listens

_EXTERNAL = "[rabbitmq_auth_mechanism_ssl]."


@dataclass(frozen=True)
class Tls:
    """A node that speaks TLS, its CA, and what a client shows."""

    node: PrivateNode
    port: int
    ca: Path
    client: Path

    def settings(self, namespace: str, host: str = "localhost", **environ: str) -> Settings:
        variables = {f"DLMON_BROKER_{name.upper()}": value for name, value in environ.items()}
        url = f"amqps://{host}:{self.port}/"
        flags = {"broker": url, "namespace": namespace, "connect_timeout": 5}
        return load_settings(flags, variables, Path("/dev/null"))


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory, rabbitmq_server: None) -> Iterator[Tls]:
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    yield from _serve(folder, authority, authority.issue_cert("localhost"))


@pytest.fixture
def expired(tmp_path: Path, rabbitmq_server: None) -> Iterator[Tls]:
    authority = trustme.CA()
    yesterday = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    certificate = authority.issue_cert("localhost", not_after=yesterday)
    yield from _serve(tmp_path, authority, certificate)


def _serve(folder: Path, authority: trustme.CA, server: trustme.LeafCert) -> Iterator[Tls]:
    files = {name: folder / f"{name}.pem" for name in ("ca", "server", "key", "client")}
    authority.cert_pem.write_to_path(files["ca"])
    server.cert_chain_pems[0].write_to_path(files["server"])
    server.private_key_pem.write_to_path(files["key"])
    client = authority.issue_cert("collector@example.com", common_name="collector")
    client.private_key_and_cert_chain_pem.write_to_path(files["client"])
    port = free_port()
    node = PrivateNode(
        folder,
        f"listeners.ssl.1 = 127.0.0.1:{port}\n"
        f"ssl_options.cacertfile = {files['ca']}\n"
        f"ssl_options.certfile = {files['server']}\n"
        f"ssl_options.keyfile = {files['key']}\n"
        "ssl_options.verify = verify_peer\n"
        "ssl_options.fail_if_no_peer_cert = false\n"
        "auth_mechanisms.1 = PLAIN\n"
        "auth_mechanisms.2 = EXTERNAL\n"
        "ssl_cert_login_from = common_name\n",
        _EXTERNAL,
    )
    node.start()
    wait_until(lambda: listens(port))  # RabbitMQ 4 opens its TLS listener after the other one
    try:
        yield Tls(node, port, files["ca"], files["client"])
    finally:
        node.kill()


def exchange(settings: Settings) -> None:
    """Publish and see it."""
    with open_broker(settings) as broker:
        broker.publish(Queue.REJECTS, [make_messages(3)])
        assert ids(in_queue(broker, Queue.REJECTS)) == ids(make_messages(3))


def refusal(settings: Settings) -> str:
    with pytest.raises(BrokerRefused) as refused:
        open_broker(settings)
    return str(refused.value)


def test_a_ca_file_makes_it_trusted(tls: Tls, namespace: str) -> None:
    exchange(tls.settings(namespace, ca_file=str(tls.ca)))


def test_a_server_name_stands_for_the_host(tls: Tls, namespace: str) -> None:
    by_address = {"host": "127.0.0.1", "ca_file": str(tls.ca)}
    assert "IP address mismatch" in refusal(tls.settings(namespace, **by_address))
    exchange(tls.settings(namespace, **by_address, server_name="localhost"))


def test_an_unknown_ca_is_refused(tls: Tls, namespace: str) -> None:
    words = refusal(tls.settings(namespace))
    assert "certificate of RabbitMQ at amqps://guest:***@localhost" in words
    assert "self-signed certificate in certificate chain" in words
    assert "DLMON_BROKER_CA_FILE" in words


def test_an_expired_certificate_is_refused(expired: Tls, namespace: str) -> None:
    assert "certificate has expired" in refusal(
        expired.settings(namespace, ca_file=str(expired.ca))
    )


def test_a_port_without_tls_is_told(tls: Tls, namespace: str) -> None:
    url = f"amqps://localhost:{tls.node.port}/"
    settings = load_settings({"broker": url, "namespace": namespace}, {}, Path("/dev/null"))
    assert "Cannot set up TLS" in refusal(settings)


@pytest.mark.parametrize("name", ["ca_file", "cert_file"])
def test_a_file_that_is_missing_is_named(tls: Tls, namespace: str, name: str) -> None:
    files: Mapping[str, str] = {"ca_file": str(tls.ca), name: "/nowhere/file.pem"}
    with pytest.raises(SettingsError, match=r"/nowhere/file\.pem"):
        open_broker(tls.settings(namespace, **files))


def test_a_client_certificate_is_a_login(tls: Tls, namespace: str) -> None:
    settings = tls.settings(namespace, ca_file=str(tls.ca), cert_file=str(tls.client))
    assert "refused the login" in refusal(settings)
    tls.node.ctl("add_user", "collector", "unused")
    tls.node.ctl("set_permissions", "collector", ".*", ".*", ".*")
    exchange(settings)
