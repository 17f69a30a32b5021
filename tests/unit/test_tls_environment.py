"""Variables for TLS, as RabbitMQ's connections take them from the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlmon.brokers.rabbitmq.tls import tls_context
from dlmon.config.urls import Tls
from dlmon.errors import SettingsError


@pytest.mark.parametrize("variable", ["SSLKEYLOGFILE", "SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_a_variable_that_names_nothing_usable_is_told_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "/missing/s3cret")
    with pytest.raises(SettingsError, match=f"^{variable} names what cannot be used") as caught:
        tls_context(Tls())
    assert "s3cret" not in str(caught.value)


def test_a_ca_file_that_is_no_certificate_is_named(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("no certificate")
    with pytest.raises(SettingsError, match=f"^Cannot use the CA file {file}: "):
        tls_context(Tls(ca_file=file))
