"""What the environment says of TLS: which certificates are trusted, and where keys are logged.

OpenSSL ignores what it cannot read of the former, and then trusts no server at all. An error here
names the variable, and never shows its value.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path

from dlmon.errors import SettingsError


def create_tls_context(environ: Mapping[str, str], ca_file: Path | None = None) -> ssl.SSLContext:
    """Trusts the system's certificate authorities, or those of SSL_CERT_FILE and SSL_CERT_DIR.

    ca_file: authorities to trust instead, in PEM.

    Raises: SettingsError when a variable or `ca_file` names what cannot be used.
    """
    if ca_file is None:
        _check_authorities(environ)
    _check_key_log(environ)
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ValueError) as error:  # SSLError is an OSError
        if ca_file is not None:
            raise SettingsError(f"Cannot use the CA file {ca_file}: {_words(error)}.") from error
        raise SettingsError(f"TLS cannot be used ({_words(error)}): check OPENSSL_CONF.") from error


def _check_authorities(environ: Mapping[str, str]) -> None:
    if file := environ.get("SSL_CERT_FILE"):
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=file)
        except (OSError, ValueError) as error:
            reason = "it has no certificate in PEM" if isinstance(error, ssl.SSLError) else None
            raise _unusable("SSL_CERT_FILE", reason or _words(error)) from error
    folders = environ.get("SSL_CERT_DIR")
    if folders and not any(Path(folder).is_dir() for folder in folders.split(":")):
        raise _unusable("SSL_CERT_DIR", "there is no such folder")


def _check_key_log(environ: Mapping[str, str]) -> None:
    if file := environ.get("SSLKEYLOGFILE"):
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).keylog_filename = file
        except (OSError, ValueError) as error:
            raise _unusable("SSLKEYLOGFILE", _words(error)) from error


def _words(error: Exception) -> str:
    """What is wrong with a file, without its name."""
    return (isinstance(error, OSError) and error.strerror) or type(error).__name__


def _unusable(variable: str, reason: str) -> SettingsError:
    return SettingsError(
        f"{variable} names what cannot be used ({reason}): correct it, or unset the variable."
    )
