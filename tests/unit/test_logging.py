"""Log lines as they get to stderr."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress

import pytest

from dlmon.console.text import safe
from dlmon.runtime.logging import configure_logging

_HOSTILE = [
    ("one\ntwo", r"one\ntwo"),
    ("one\r\ntwo", r"one\r\ntwo"),
    ("\x1b[2Jgone", r"\x1b[2Jgone"),
    ("\x9b2J", r"\x9b2J"),
    ("a\u2028b\u2029c", r"a\u2028b\u2029c"),
    ("\u202etxt.exe", r"\u202etxt.exe"),
    ("\u2066a\u2069\u061c\u200f", r"\u2066a\u2069\u061c\u200f"),
    ("nul\0 bell\a", r"nul\x00 bell\x07"),
    ("half \ud83d", r"half \ud83d"),
    ("übrig 🎉", "übrig 🎉"),
]


@pytest.fixture(autouse=True)
def logger() -> Iterator[logging.Logger]:
    """dlmon's logger, as it was afterwards."""
    logger = logging.getLogger("dlmon")
    before = logger.handlers, logger.propagate, logger.level
    yield logger
    logger.handlers, logger.propagate = before[:2]
    logger.setLevel(before[2])


@pytest.mark.parametrize(("text", "shown"), _HOSTILE)
def test_a_log_line_stays_one_line_whatever_the_text(
    text: str, shown: str, logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging("info")
    logger.getChild("part").warning("%s", text)
    [line] = capsys.readouterr().err.splitlines()
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z WARNING dlmon\.part: " + re.escape(shown), line
    )


def test_a_traceback_stays_in_the_line_too(
    logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging("info")
    try:
        int("one\ntwo")
    except ValueError:
        logger.exception("failed")
    [line] = capsys.readouterr().err.splitlines()
    assert "Traceback" in line
    assert "ValueError" in line


@pytest.mark.parametrize(("text", "shown"), _HOSTILE)
def test_what_is_shown_is_made_safe_in_the_same_way(text: str, shown: str) -> None:
    assert safe(text) == shown


def test_as_json_a_text_is_as_it_was(
    logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging("info", "json")
    logger.warning("one\ntwo \x1b")
    [line] = capsys.readouterr().err.splitlines()
    assert json.loads(line)["message"] == "one\ntwo \x1b"


def test_what_is_below_the_level_is_left_out(
    logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging("error")
    logger.warning("not this")
    logger.error("this")
    assert capsys.readouterr().err.count("\n") == 1


def test_a_reader_that_stalls_costs_lines_of_the_log_and_no_work(
    logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with os.fdopen(reader, "rb") as log, os.fdopen(writer, "w", buffering=1) as stderr:
        with suppress(BlockingIOError):
            while os.write(writer, b"x" * 4096):
                pass
        os.set_blocking(writer, True)
        monkeypatch.setattr(sys, "stderr", stderr)
        configure_logging("info")
        for number in range(100):
            logger.info("%d", number)
        os.read(reader, 1 << 20)
        logger.info("again")
        logger.info("and again")
        stderr.close()
        first, second, third = log.read().decode().splitlines()
    assert first.endswith(": 100 lines of the log before this one were lost: stderr was full.")
    assert second.endswith(": again")
    assert third.endswith(": and again")
