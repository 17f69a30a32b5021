"""The size and the colours of what is printed."""

from __future__ import annotations

import io
import os
import pty
import struct
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import ioctl
from typing import TextIO

import pytest
from rich.text import Text

from dlmon.console.lines import print_line, stderr, stdout

VARIABLES = ("COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE")


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


@contextmanager
def terminal(columns: int, lines: int) -> Iterator[TextIO]:
    """A stream that is a terminal of this size."""
    outer, inner = pty.openpty()
    ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    try:
        with open(inner, "w") as stream:  # noqa: PTH123  (a descriptor)
            yield stream
    finally:
        os.close(outer)


class TestPipe:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("FORCE_COLOR", "1"),
            ("FORCE_COLOR", "3"),
            ("TTY_COMPATIBLE", "1"),
            ("TTY_INTERACTIVE", "1"),
            ("COLORTERM", "truecolor"),
            ("CLICOLOR_FORCE", "1"),
        ],
    )
    def test_no_variable_makes_it_a_terminal(
        self, name: str, value: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "stderr", io.StringIO())
        assert not stderr().is_terminal
        assert not stderr().is_interactive

    @pytest.mark.parametrize("columns", ["0", "1", "4", "-80", "wide", "²", "9" * 5000])
    def test_a_width_in_which_nothing_can_be_shown_is_ignored(
        self, columns: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COLUMNS", columns)
        monkeypatch.setenv("LINES", columns)
        stream = io.StringIO()
        monkeypatch.setattr(sys, "stdout", stream)
        assert tuple(stdout().size) == (80, 25)
        print_line(stdout(), Text("all " * 50))
        assert stream.getvalue() == "all " * 50 + "\n"

    def test_another_width_is_taken(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", "132")
        monkeypatch.setattr(sys, "stdout", io.StringIO())
        assert stdout().width == 132

    @pytest.mark.parametrize(
        ("variables", "coloured"),
        [
            ({}, False),
            ({"FORCE_COLOR": ""}, False),
            ({"FORCE_COLOR": "0"}, False),
            ({"FORCE_COLOR": "1"}, True),
            ({"FORCE_COLOR": "3"}, True),
            ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ],
    )
    def test_colours_can_be_forced(
        self, variables: dict[str, str], coloured: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        stream = io.StringIO()
        monkeypatch.setattr(sys, "stdout", stream)
        print_line(stdout(), Text("red", "red"))
        assert stream.getvalue() == ("\x1b[31mred\x1b[0m\n" if coloured else "red\n")

    def test_a_stream_that_is_closed_swallows_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "stdout", None)
        assert not stdout().is_terminal
        print_line(stdout(), Text("nowhere"))


class TestTerminal:
    def test_it_has_its_own_size(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", "200")
        with terminal(100, 40) as stream:
            monkeypatch.setattr(sys, "stderr", stream)
            assert stderr().is_terminal
            assert tuple(stderr().size) == (100, 40)

    def test_one_that_knows_no_size_has_that_of_the_variables(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with terminal(0, 0) as stream:
            monkeypatch.setattr(sys, "stderr", stream)
            assert tuple(stderr().size) == (80, 25)
            monkeypatch.setenv("COLUMNS", "120")
            monkeypatch.setenv("LINES", "50")
            assert tuple(stderr().size) == (120, 50)

    def test_one_stream_has_nothing_of_another(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with terminal(100, 40) as stream:
            monkeypatch.setattr(sys, "stderr", stream)
            monkeypatch.setattr(sys, "stdout", io.StringIO())
            assert not stdout().is_terminal
            assert stdout().width == 80
