"""The commands in README and docs/, typed one after the other as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from dlmon.cli import app
from dlmon.config.settings import Settings
from dlmon.config.urls import RabbitMQAddress
from dlmon.errors import ExitCode
from tests.support.amqp import raw_channel
from tests.support.dlmon import Dlmon, url_of
from tests.support.documentation import (
    DOCUMENTS,
    REPOSITORY,
    Example,
    agrees,
    examples,
    shape,
    words,
)
from tests.support.events import make_body
from tests.support.terminal import PROMPT, type_command

ELSEWHERE = ("docker ", "git ", "pip ", "pipx ", "python3 -m venv", "rabbitmqctl ", "sqlite3 ")
"""Programs of others. That dlmon can be installed is for tests/acceptance/test_wheel.py."""

EXITS = {
    "dlmon validate-file bad.ndjson": ExitCode.INVALID_DATA,
    "dlmon validate-file --schema": ExitCode.INVALID_DATA,
    "dlmon try-schema": ExitCode.INVALID_DATA,
    "DLMON_BROKER_PASSWORD=wrong dlmon doctor": ExitCode.BROKER,
}
"""How commands that begin like this exit; all others are done."""

RANDOM = ("dlmon demo", "dlmon try-schema")
"""Commands that have no seed, or that read what those have stored: numbers and which events are
invalid are different each time."""


def typed(document: Path) -> list[Example]:
    return [one for one in examples(document) if not one.command.startswith(ELSEWHERE)]


def expected_status(command: str) -> ExitCode:
    codes = [code for beginning, code in EXITS.items() if command.startswith(beginning)]
    return codes[0] if codes else ExitCode.DONE


def test_every_command_has_an_example() -> None:
    group: Any = typer.main.get_command(app)
    lines = [one.command for document in DOCUMENTS for one in typed(document)]
    assert words(lines, r"\bdlmon ([a-z-]+)") == set(group.commands)


@pytest.mark.rabbitmq
@pytest.mark.parametrize(
    "document",
    [
        pytest.param(one, id=one.relative_to(REPOSITORY).as_posix())
        for one in DOCUMENTS
        if typed(one)
    ],
)
def test_each_documented_command_prints_what_is_documented(
    document: Path, rabbitmq_settings: Settings, queue_of_others: None, tmp_path: Path
) -> None:
    environment = environment_for(rabbitmq_settings, tmp_path)
    for name in ("examples", "schemas"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    wrong = []
    for example in typed(document):
        command = as_typed(example.command, rabbitmq_settings)
        if command.startswith("export "):
            environment |= re.findall(r"(\w+)=(\S+)", command)
            continue
        answers = ["y"] * example.output.count(f"{PROMPT}y")
        printed, status = type_command(
            command, environment=environment, folder=tmp_path, answers=answers
        )
        random = example.command.startswith(RANDOM)
        found = shape(as_documented(printed, rabbitmq_settings, tmp_path), random=random)
        expected = shape(example.output, random=random)
        if status != expected_status(example.command):
            wrong.append(f"{example}\nexits with {status} and prints\n{printed}")
        elif not agrees(expected, found):
            wrong.append(f"{example}\nprints\n{printed}\n\nof this shape\n{found}")
    assert not wrong, "\n\n".join(wrong)


@pytest.mark.parametrize("name", ["README.md", "docs/python.md"])
def test_each_documented_program_runs(name: str, tmp_path: Path) -> None:
    programs = re.findall(
        r"^```python\n(.*?)^```$", (REPOSITORY / name).read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    assert programs
    for program in programs:
        here = re.sub(r'"amqps?://[^"]*"', repr(f"sqlite:///{tmp_path}/broker.db"), program)
        done = subprocess.run(
            [sys.executable, "-c", here],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert not done.stderr


def environment_for(settings: Settings, folder: Path) -> dict[str, str]:
    """What a shell knows in which `dlmon` can be typed."""
    program = folder / "bin" / "dlmon"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m dlmon "$@"\n')
    program.chmod(0o755)
    environment = Dlmon(settings, folder).environment
    del environment["DLMON_LOG_FORMAT"]
    return {
        **environment,
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "EDITOR": r"sed -i s/123\.4/12.34/g",
        "NO_COLOR": "1",
    }


def others(settings: Settings) -> str:
    """What the queue is called here that the documentation calls `downloads`."""
    return f"{settings.namespace}-downloads"


@pytest.fixture
def queue_of_others(rabbitmq_settings: Settings) -> Iterator[None]:
    """A queue that is there before dlmon, with what agents have put into it."""
    name = others(rabbitmq_settings)
    with raw_channel(url_of(rabbitmq_settings)) as channel:
        channel.queue_declare(name, durable=True)
        for changes in ({}, {}, {"download_speed": "fast"}):
            channel.basic_publish("", name, make_body(**changes))
        yield
        channel.queue_delete(name)


def as_typed(command: str, settings: Settings) -> str:
    """A command with this test's names for those that the documentation uses."""
    for documented, name in (
        ("amqp://guest:guest@localhost:5672/", url_of(settings)),
        ("DLMON_NAMESPACE=dlmon", f"DLMON_NAMESPACE={settings.namespace}"),
        ("--arrivals downloads", f"--arrivals {others(settings)}"),
    ):
        command = command.replace(documented, name)
    return command


def as_documented(printed: str, settings: Settings, folder: Path) -> str:
    """What is printed, with the names that the documentation uses for those of this test."""
    host = settings.broker.hosts[0][0] if isinstance(settings.broker, RabbitMQAddress) else ""
    for name, documented in (
        (others(settings), "downloads"),
        (settings.namespace, "dlmon"),
        (str(settings.broker), "amqp://guest:***@localhost:5672/"),
        (host, "localhost"),
        (str(folder), "/home/ada"),
    ):
        printed = printed.replace(name, documented)
    return printed
