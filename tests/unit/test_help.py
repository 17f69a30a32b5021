from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from dlmon.cli import app

GROUP: Any = typer.main.get_command(app)
NAMES = sorted(GROUP.commands)


def examples(help_text: str) -> Iterator[list[str]]:
    """Arguments of each `dlmon` in the lines below `Examples:`, pipelines taken apart."""
    _, found, lines = help_text.partition("Examples:\n")
    assert found, "the help has no examples"
    for line in lines.splitlines():
        for command in re.split(r"\s\|\s", line.partition("  #")[0]):
            program, *arguments = shlex.split(command.partition(" > ")[0])
            if program == "dlmon":
                yield arguments


@pytest.mark.parametrize("name", NAMES)
def test_every_command_says_in_one_sentence_what_it_is_for(name: str) -> None:
    summary = GROUP.commands[name].help.partition("\n")[0]
    assert summary.endswith(".")
    assert len(summary) <= 80


@pytest.mark.parametrize("name", NAMES)
def test_every_example_is_a_command_that_dlmon_understands(name: str) -> None:
    used = []
    for arguments in examples(GROUP.commands[name].help):
        command = GROUP.commands[arguments[0]]
        command.make_context(arguments[0], arguments[1:])
        used.append(arguments[0])
    assert name in used


@pytest.mark.parametrize("name", NAMES)
def test_every_option_says_what_it_does(name: str) -> None:
    silent = [
        parameter.name
        for parameter in GROUP.commands[name].params
        if parameter.param_type_name == "option" and not (parameter.help or "").endswith((".", "]"))
    ]
    assert silent == []
