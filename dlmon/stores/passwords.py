"""The password that stands beside the URL of a store."""

from __future__ import annotations

from dlmon.config.urls import StoreAddress
from dlmon.errors import SettingsError, StoreUnavailable


def read_password(address: StoreAddress) -> str | None:
    """The password now; None where none stands beside the URL.

    Raises: StoreUnavailable when it cannot be read: it may be rotated right now.
    """
    if address.password is None:
        return None
    try:
        return address.password.read()
    except SettingsError as error:
        raise StoreUnavailable(str(error)) from error
