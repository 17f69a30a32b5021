"""Findings as text: a line each, and on a terminal the place in its line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Protocol

import orjson
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from dlmon.commands.validate_file import Counts, FileResult, Report, Result
from dlmon.console.lines import print_line, stderr, stdout
from dlmon.console.text import safe
from dlmon.findings import Finding, Snippet
from dlmon.grouping import place


class FinalReport(Report, Protocol):
    """A report that ends with what all came to."""

    def finish(self, result: Result) -> None:
        """There is nothing more to come."""


class TextReport:
    """`file:line:column: code at /pointer: reason`, and counts at the end."""

    def __init__(self) -> None:
        self._console = stdout()

    def found(self, findings: Sequence[Finding]) -> None:
        for finding in findings:
            if not self._console.is_terminal:
                self._console.file.write(f"{_where(finding)}: {_what(finding)}\n")
                continue
            line = Text(f"{_where(finding)}: ", "bold")
            line.append(safe(place(finding.code, finding.path)), "bold red")
            print_line(
                self._console, line.append(f": {safe(finding.reason)}", "not bold"), wrap=True
            )
            _print_snippet(self._console, finding.snippet)

    def ended(self, result: FileResult) -> None:
        if result.counts.hidden:
            text = f"{safe(result.file)}: {result.counts.hidden:,} more findings."
            print_line(self._console, Text(text, "yellow"), wrap=True)
        print_error(result)

    def finish(self, result: Result) -> None:
        print_line(self._console, Text(summary(result), "bold"), wrap=True)


class JsonReport:
    """One JSON document on stdout: findings, files and counts."""

    def __init__(self) -> None:
        self._files: list[FileResult] = []
        self._any = False
        sys.stdout.write('{"findings":[')

    def found(self, findings: Sequence[Finding]) -> None:
        for finding in findings:
            sys.stdout.write(
                (",\n" if self._any else "\n") + orjson.dumps(to_record(finding)).decode()
            )
            self._any = True

    def ended(self, result: FileResult) -> None:
        self._files.append(result)
        print_error(result)

    def finish(self, result: Result) -> None:
        files = [
            {
                "file": one.file,
                "error": None if one.error is None else str(one.error),
                **_record(one.counts),
            }
            for one in self._files
        ]
        ends = {
            "files": files,
            "summary": _record(result.counts),
            "interrupted": result.interrupted,
        }
        sys.stdout.write("\n]," + orjson.dumps(ends).decode()[1:] + "\n")


def to_record(finding: Finding) -> dict[str, object]:
    """A finding as a JSON object."""
    return {
        "file": finding.file,
        "line": finding.position.line,
        "column": finding.position.column,
        "end_line": finding.end.line,
        "end_column": finding.end.column,
        "code": finding.code,
        "path": finding.path,
        "reason": finding.reason,
        "event_id": finding.event_id,
    }


def print_error(result: FileResult) -> None:
    """On stderr, why a file could not be read to its end."""
    if result.error is not None:
        print_line(stderr(), Text(f"dlmon: {safe(str(result.error))}"), wrap=True)


def summary(result: Result) -> str:
    """All counts in one line."""
    counts = result.counts
    text = f"{counts.events:,} events: {counts.valid:,} valid"
    if counts.findings:
        text += f", {counts.invalid:,} invalid, {counts.findings:,} findings"
    return f"{text}."


def _record(counts: Counts) -> dict[str, int]:
    return {
        "events": counts.events,
        "valid": counts.valid,
        "invalid": counts.invalid,
        "findings": counts.findings,
    }


def _where(finding: Finding) -> str:
    return f"{safe(finding.file)}:{finding.position.line}:{finding.position.column}"


def _what(finding: Finding) -> str:
    return f"{safe(place(finding.code, finding.path))}: {safe(finding.reason)}"


def _print_snippet(console: Console, snippet: Snippet) -> None:
    """The line, as much of it as fits around the place, which is underlined."""
    room = console.width - 4
    first = max(0, min(snippet.start - room // 3, len(snippet.text) - room))
    before = safe(snippet.text[first : snippet.start])
    marked = safe(snippet.text[snippet.start : snippet.end])
    after = safe(snippet.text[snippet.end :])
    line = Text("  ").append(before, "dim").append(marked, "bold").append(after, "dim")
    print_line(console, line)
    width = max(1, min(cell_len(marked), room - cell_len(before)))
    print_line(console, Text(" " * (2 + cell_len(before))).append("^" * width, "bold red"))
