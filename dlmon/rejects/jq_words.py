"""Words of jq that a patch must not use, found in its text.

A patch computes one event from one event. What reads anything else (variables of the environment,
files, further input), writes, or ends the process has no place in it. The process that patches run
in denies all of this too: here it is refused with words that say so.
"""

from __future__ import annotations

import re

_WHAT = {
    "import": "reads files",
    "include": "reads files",
    "modulemeta": "reads files",
    "get_search_list": "shows where files are looked for",
    "env": "reads the environment",
    "$ENV": "reads the environment",
    "input": "reads further input",
    "inputs": "reads further input",
    "input_filename": "asks for the name of the input",
    "input_line_number": "asks for the place in the input",
    "debug": "writes to stderr",
    "stderr": "writes to stderr",
    "halt": "ends the process",
    "halt_error": "ends the process",
}

# As in jq's own lexer. A field (`.env`) and a format (`@text`) are no words.
_TOKEN = re.compile(
    r"""
      (?P<space>\s+|\#[^\n]*)
    | (?P<name>\.[A-Za-z_]\w*|@\w+)
    | (?P<word>\$?\s*(?:[A-Za-z_]\w*::)*[A-Za-z_]\w*)
    | (?P<sign>.)
    """,
    re.VERBOSE | re.ASCII | re.DOTALL,
)
_TEXT = re.compile(r'(?:[^"\\]|\\[^(])*', re.DOTALL)
_OPENING = ("(", "[", "{")
_CLOSING = (")", "]", "}")
_INTERPOLATION = "\\("


def forbidden_word(expression: str) -> tuple[str, str] | None:
    """The first word that a patch must not use, and what it does; None where there is none."""
    open_signs: list[str] = []
    before = ""  # the sign or word before
    at = 0
    while match := _TOKEN.match(expression, at):
        at = match.end()
        found = match[0]
        if match.lastgroup == "space":
            continue
        if match.lastgroup == "word":
            word = "".join(found.split())
            is_key = open_signs[-1:] == ["{"] and before in ("{", ",")
            if word in _WHAT and (not is_key or word.startswith("$")):
                return word, _WHAT[word]
        elif found == '"' or (found == ")" and open_signs[-1:] == [_INTERPOLATION]):
            # A text begins, or continues after an interpolation.
            if found == ")":
                open_signs.pop()
            at = _end_of_text(expression, at)
            if expression.startswith(_INTERPOLATION, at):
                open_signs.append(_INTERPOLATION)
                at += len(_INTERPOLATION)
            else:
                at += 1  # the quotation mark
        elif found in _OPENING:
            open_signs.append(found)
        elif found in _CLOSING and open_signs:
            open_signs.pop()
        before = found
    return None


def _end_of_text(expression: str, at: int) -> int:
    """Where the text at `at` ends, or an interpolation in it begins."""
    match = _TEXT.match(expression, at)
    assert match is not None  # noqa: S101  (it matches the empty text)
    return match.end()
