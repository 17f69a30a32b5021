"""Settings from given sources, in a folder where no other configuration is found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dlmon.config.settings import Settings, load_settings
from dlmon.config.urls import RabbitMQAddress
from dlmon.errors import ExitCode, SettingsError


def load(toml: str = "", environ: Mapping[str, str] | None = None, **flags: Any) -> Settings:
    """Settings from ./dlmon.toml, variables and flags."""
    Path("dlmon.toml").write_text(toml, "utf-8")
    return load_settings(flags, environ or {})


def address(url: str, environ: Mapping[str, str] | None = None, toml: str = "") -> RabbitMQAddress:
    """Where `--broker URL` leads to."""
    broker = load(toml, environ, broker=url).broker
    assert isinstance(broker, RabbitMQAddress)
    return broker


def refusal(toml: str = "", environ: Mapping[str, str] | None = None, **flags: Any) -> str:
    """What is said when settings are refused."""
    with pytest.raises(SettingsError) as caught:
        load(toml, environ, **flags)
    assert caught.value.exit_code == ExitCode.USAGE
    return str(caught.value)
