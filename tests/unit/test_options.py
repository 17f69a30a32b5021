"""What every option refuses, whichever command it belongs to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import typer

from dlmon.cli import app
from dlmon.cli.options import ALL_SETTINGS
from dlmon.config.settings import Settings
from dlmon.config.values import SETTINGS
from dlmon.errors import SettingsError, UsageError

GROUP: Any = typer.main.get_command(app)
ARGUMENTS = {"try-schema": ["new.json"], "validate-file": ["-"]}


def options(kind: str) -> list[Any]:
    """Each option of a kind that is no setting: its command and its name."""
    return [
        pytest.param(name, parameter.opts[0], id=f"{name} {parameter.opts[0]}")
        for name, command in GROUP.commands.items()
        for parameter in command.params
        if parameter.param_type_name == "option"
        and parameter.type.name.startswith(kind)
        and parameter.name not in ALL_SETTINGS
    ]


def refusal(name: str, option: str, text: str) -> str:
    command = GROUP.commands[name]
    context = command.make_context(name, [*ARGUMENTS.get(name, []), option, text])
    with pytest.raises(UsageError) as caught:
        command.invoke(context)
    return str(caught.value)


@pytest.mark.parametrize(("name", "option"), options("float"))
@pytest.mark.parametrize("text", ["nan", "NaN", "-nan"])
def test_what_is_no_number_is_refused(name: str, option: str, text: str) -> None:
    assert refusal(name, option, text) == f"{option}: expected a number, got nan."


@pytest.mark.parametrize(("name", "option"), options("str"))
def test_text_that_is_not_utf_8_is_refused(name: str, option: str) -> None:
    assert refusal(name, option, os.fsdecode(b"a\xff")) == f"{option}: expected UTF-8 text."


@pytest.mark.parametrize(("name", "option"), options("path"))
def test_an_empty_name_of_a_file_does_not_mean_the_working_folder(name: str, option: str) -> None:
    assert refusal(name, option, "") == f"{option}: a name of a file is empty."


@pytest.mark.parametrize(("name", "option"), options("path"))
def test_the_name_of_a_file_may_be_any_bytes(name: str, option: str) -> None:
    command = GROUP.commands[name]
    path = os.fsdecode(b"no-such-folder/\xff")
    arguments = [*ARGUMENTS.get(name, []), option, path, "--config", "no-such-file"]
    with pytest.raises(SettingsError, match=r"no-such-file"):
        command.invoke(command.make_context(name, arguments))


def test_the_name_of_a_checked_file_may_be_any_bytes(tmp_path: Path) -> None:
    file = tmp_path / os.fsdecode(b"\xff.ndjson")
    file.touch()
    command = GROUP.commands["validate-file"]
    with pytest.raises(typer.Exit) as ended:
        command.invoke(command.make_context("validate-file", [str(file)]))
    assert ended.value.exit_code == 0


def test_an_empty_argument_does_not_mean_the_working_folder() -> None:
    command = GROUP.commands["validate-file"]
    context = command.make_context("validate-file", ["events.ndjson", ""])
    with pytest.raises(UsageError, match=r"^FILE: a name of a file is empty\.$"):
        command.invoke(context)


def test_there_are_options_of_both_kinds() -> None:
    assert len(options("float")) > 3
    assert len(options("str")) > 10


def test_every_option_for_a_setting_is_one() -> None:
    assert ALL_SETTINGS - {"config"} <= SETTINGS.keys()


def test_every_setting_has_a_default_or_is_part_of_an_address() -> None:
    parts = {name for name in SETTINGS if name.startswith(("broker_", "store_"))}
    assert SETTINGS.keys() - parts == set(Settings.__dataclass_fields__)


def test_the_defaults_in_the_help_are_those_of_the_settings() -> None:
    shown = {
        parameter.name: parameter.help
        for command in GROUP.commands.values()
        for parameter in command.params
        if parameter.name in ALL_SETTINGS
    }
    settings = Settings()
    for name in ("namespace", "max_event_bytes", "log_level"):
        assert f"DLMON_{name.upper()}; default: {getattr(settings, name)}]" in shown[name]
    assert f"default: {settings.wait:g}]" in shown["wait"]
    assert shown["declare"].endswith("default: declare]") is settings.declare
    assert Path("dlmon.toml").name in shown["config"]
