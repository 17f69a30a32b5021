"""The commands in README, typed one after the other as they stand there."""

from __future__ import annotations

import gzip
import re
import sys
from pathlib import Path

import pexpect
import pytest

from dlmon.brokers import open_broker
from dlmon.config.settings import Settings
from dlmon.errors import ExitCode
from tests.support.dlmon import Dlmon
from tests.support.events import make_body
from tests.support.rejections import park, rejection, slow

README = Path(__file__).parents[2] / "README.md"

ELSEWHERE = ("docker ", "pip install ", "rabbitmqctl ", "sqlite3 ")
"""What others' programs do. That dlmon is installed and tested is for other tests."""

EXITS = {
    "dlmon validate-file bad.ndjson": ExitCode.INVALID_DATA,
    "dlmon doctor --broker amqp://guest:x@localhost": ExitCode.BROKER,
}
ASKS = "[y/N]: y"
SHOWN = "22912397-2b41-4ae3-ac84-8565686705f6"


def commands() -> list[tuple[str, str]]:
    """Each command of README, and what it shows of its output."""
    blocks = re.findall(r"```console\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    typed = [part for block in blocks for part in re.split(r"^\$ ", block, flags=re.M)[1:]]
    pairs = [re.split(r"(?<!\\)\n", one, maxsplit=1) for one in typed]
    return [(line, output) for line, output in pairs if not any(map(line.__contains__, ELSEWHERE))]


def test_readme_has_commands() -> None:
    named = {word for line, _ in commands() for word in re.findall(r"dlmon ([a-z-]+)", line)}
    assert named == {
        "produce",
        "consume",
        "inspect-rejects",
        "replay-rejects",
        "discard-rejects",
        "validate-file",
        "status",
        "doctor",
    }


@pytest.mark.rabbitmq
def test_each_command_in_readme_does_what_it_says(
    rabbitmq_settings: Settings, tmp_path: Path
) -> None:
    dlmon = Dlmon(rabbitmq_settings, tmp_path)
    program = tmp_path / "bin" / "dlmon"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m dlmon "$@"\n')
    program.chmod(0o755)
    environment = {
        **dlmon.environment,
        "PATH": f"{program.parent}:{dlmon.environment['PATH']}",
        "EDITOR": "sed -i s/123.4/12.34/",
        "NO_COLOR": "1",
        "TERM": "xterm",
    }
    (tmp_path / "bad.ndjson").write_bytes(make_body(file_size="8 MB") + b"\n")
    events = b"".join(make_body() + b"\n" for _ in range(20))
    (tmp_path / "events.ndjson.gz").write_bytes(gzip.compress(events))
    for line, output in commands():
        with open_broker(rabbitmq_settings) as broker:
            wrong = make_body(event_id=SHOWN, coordinates={"latitude": 123.4, "longitude": 1})
            silent = make_body(download_speed="n/a")
            park(broker, [slow(), rejection(silent), rejection(wrong)])
        asks = ASKS in output
        # On a terminal only where it asks: elsewhere it draws, and goes on until it is stopped.
        typed = f"set -o pipefail; {line}" if asks else f"set -o pipefail; {{ {line}\n}} 2>&1 | cat"
        shell = pexpect.spawn(
            "bash", ["-c", typed], env=environment, cwd=str(tmp_path), encoding="utf-8", timeout=60
        )
        if asks:
            shell.expect_exact("[y/N]: ")
            shell.sendline("y")
        shell.expect(pexpect.EOF)
        shell.wait()
        said = f"{line}\n{shell.before}"
        assert shell.exitstatus == EXITS.get(line, ExitCode.DONE), said
        assert "Traceback" not in said
