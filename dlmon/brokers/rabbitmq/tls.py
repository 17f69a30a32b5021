"""How the certificate of RabbitMQ is verified, and which one is shown to it."""

from __future__ import annotations

import ssl

from dlmon.config.urls import Tls
from dlmon.errors import SettingsError


def tls_context(tls: Tls) -> ssl.SSLContext:
    """Raises: SettingsError where a file cannot be used."""
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
    except OSError as error:
        raise SettingsError(f"Cannot use the CA file {tls.ca_file}: {error.strerror}.") from error
    if tls.cert_file is not None:
        try:
            context.load_cert_chain(tls.cert_file, tls.key_file)
        except OSError as error:
            raise SettingsError(
                f"Cannot use the client certificate {tls.cert_file}: {error.strerror}."
            ) from error
    return context
