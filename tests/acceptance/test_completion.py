from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAMS = Path(sys.executable).parent


def bash(script: str, home: Path) -> str:
    done = subprocess.run(
        # The line after the last command keeps bash there, to be found as the shell in use.
        ["bash", "-c", f"{script}\ntrue"],
        env=os.environ | {"HOME": str(home), "PATH": f"{PROGRAMS}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def completed(words: str) -> str:
    """A script that prints how bash completes the last of some words."""
    last = len(words.split()) - 1
    return (
        f"COMP_WORDS=({words}); COMP_CWORD={last}; _dlmon_completion dlmon; "
        'echo "${COMPREPLY[@]}"'
    )


def test_bash_completes_commands_with_what_show_completion_prints(tmp_path: Path) -> None:
    script = f'eval "$(dlmon --show-completion)"; {completed("dlmon dis")}'
    assert bash(script, tmp_path) == "discard-rejects\n"


def test_bash_completes_options_once_completion_is_installed(tmp_path: Path) -> None:
    bash("dlmon --install-completion", tmp_path)
    script = f"source ~/.bashrc; {completed('dlmon inspect-rejects --names')}"
    assert bash(script, tmp_path) == "--namespace\n"
