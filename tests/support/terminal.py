"""A terminal that keeps what is drawn on it: what a person sees in the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pexpect
import pyte

PROMPT = "[y/N]: "
_COLUMNS, _ROWS = 100, 40
_WIDE = 4000
"""Columns of the screen, so that a line which is longer than the terminal stays one line."""


def type_command(
    command: str,
    *,
    environment: Mapping[str, str],
    folder: Path,
    answers: Sequence[str] = (),
) -> tuple[str, int]:
    """Type a command into bash on a terminal of 100 columns and 40 rows.

    answers: what is typed at each question. Returns what the terminal shows at the end, with the
    lines that have scrolled away, and the exit status.
    """
    shell = pexpect.spawn(
        "bash",
        ["-c", f"set -o pipefail; {command}"],
        env={**environment, "TERM": "xterm"},
        cwd=str(folder),
        dimensions=(_ROWS, _COLUMNS),
        encoding="utf-8",
        timeout=60,
    )
    written = ""
    for answer in answers:
        shell.expect_exact(PROMPT)
        written += f"{shell.before}{PROMPT}"
        shell.sendline(answer)
    shell.expect(pexpect.EOF)
    shell.close()
    status = shell.exitstatus
    return shown(written + str(shell.before)), 128 if status is None else status


def shown(written: str) -> str:
    """What a terminal shows once this was written to it, without trailing spaces."""
    screen = pyte.HistoryScreen(_WIDE, _ROWS, history=100_000)
    pyte.Stream(screen).feed(written)
    scrolled = ["".join(row[x].data for x in range(_WIDE)) for row in screen.history.top]
    return "\n".join(line.rstrip() for line in [*scrolled, *screen.display]).rstrip()
