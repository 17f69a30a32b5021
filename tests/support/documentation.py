"""The commands that the documentation shows, and the shape of what it says they print."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
DOCUMENTS = (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md")))

_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_COMMAND = re.compile(r"^\$ ((?:.*\\\n)*.*)$\n?", re.MULTILINE)

LEFT_OUT = "..."
"""A line that stands for any number of lines."""

# What differs each time that a command runs. Everything else has to be as it is written, numbers
# included: the examples produce the same events each time.
_VARYING = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<id>"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "<time>"),
        (r"\b\d\d-\d\d \d\d:\d\d:\d\d\b", "<time>"),
        (r"\b\d\d-\d\d UTC\b", "<day>"),
        (r"\d[\d,.]*/s\b", "<rate>"),
        (r"\d[\d,.]* (ms|s|min)\b|\b\d+:\d\d:\d\d\b", "<duration>"),
        (r'"file_size": \d+', '"file_size": <n>'),  # queues hand out rejects in any order
        (r'(\bby |_by":")[\w.-]+:\d+', r"\1<consumer>"),
        (r"(\blocalhost\b|\b(\d{1,3}\.){3}\d{1,3}\b|\[?::1\]?)(:\d+)?", "<host>"),
        (r"<host>(, <host>)+", "<host>"),
        (r"\?token=[\w-]+", "?token=<token>"),
        (r"-?\b\d+\.\d{3,}\b", "<decimal>"),
        (r"  +", "  "),
    )
]
_NUMBER = re.compile(r"\d[\d,.]*")
_RULE = re.compile(r"^ *\d+ +[a-z][a-zA-Z0-9-]+( at /\S+)?$", re.MULTILINE)


@dataclass(frozen=True)
class Example:
    """A command that a document shows, with what it prints."""

    document: Path
    line: int
    command: str
    output: str

    def __str__(self) -> str:
        return f"{self.document.relative_to(REPOSITORY)}:{self.line}: {self.command}"


def examples(document: Path) -> list[Example]:
    """The commands in the `console` blocks of a document, in their order."""
    text = document.read_text("utf-8")
    found = []
    for block in _BLOCK.finditer(text):
        commands = list(_COMMAND.finditer(block[1]))
        assert block[1].startswith("$ "), f"{document}: output without a command"
        ends = [*(command.start() for command in commands[1:]), len(block[1])]
        for command, end in zip(commands, ends, strict=True):
            line = text.count("\n", 0, block.start(1) + command.start()) + 1
            output = block[1][command.end() : end].rstrip("\n")
            found.append(Example(document, line, command[1], output))
    return found


def shape(text: str, *, random: bool = False) -> str:
    """Text without what varies. random: numbers, and which rules were broken, vary too."""
    for pattern, replacement in _VARYING:
        text = pattern.sub(replacement, text)
    if random:
        text = _NUMBER.sub("<n>", _RULE.sub("<rule>", text))
    return "\n".join(line.strip() for line in text.splitlines())


def agrees(documented: str, printed: str) -> bool:
    """Whether two shapes agree, where a line of `...` in the first stands for any lines."""
    lines = (
        "(?:.*\n)*" if line == LEFT_OUT else f"{re.escape(line)}\n"
        for line in documented.splitlines()
    )
    return re.fullmatch("".join(lines), f"{printed}\n" if printed else "") is not None


def words(texts: Iterable[str], pattern: str) -> set[str]:
    """All that a pattern finds in texts."""
    return {found for text in texts for found in re.findall(pattern, text)}
