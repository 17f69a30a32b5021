"""How the certificate of RabbitMQ is verified, and which one is shown to it."""

from __future__ import annotations

import os
import ssl

from dlmon.config.urls import Tls
from dlmon.errors import SettingsError
from dlmon.runtime.tls_environment import create_tls_context


def tls_context(tls: Tls) -> ssl.SSLContext:
    """Raises: SettingsError where a file, or a variable for TLS, cannot be used."""
    context = create_tls_context(os.environ, tls.ca_file)
    if tls.cert_file is not None:
        try:
            context.load_cert_chain(tls.cert_file, tls.key_file)
        except OSError as error:
            raise SettingsError(
                f"Cannot use the client certificate {tls.cert_file}: {error.strerror}."
            ) from error
    return context
