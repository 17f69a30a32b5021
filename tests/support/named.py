"""Servers that the environment names for the tests."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote


def named_server(variable: str) -> str | None:
    """The URL in a variable, or None; its password may be in the file that VARIABLE_PASSWORD_FILE
    names, as a container's secrets are."""
    url = os.environ.get(variable)
    file = os.environ.get(f"{variable}_PASSWORD_FILE")
    if not url or not file:
        return url
    login, _, address = url.rpartition("@")
    return f"{login}:{quote(Path(file).read_text('utf-8').strip(), safe='')}@{address}"
