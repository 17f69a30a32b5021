"""Findings as text: a line each, and on a terminal the place in its line."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from dlmon.commands.validate_file import Counts, FileResult, Progress, Result
from dlmon.console.lines import print_line, stderr, stdout
from dlmon.console.reports import FinalReport
from dlmon.console.text import safe
from dlmon.linting.findings import Finding, Snippet
from dlmon.runtime.stdio import is_terminal
from dlmon.validation.violations import describe_rule

_REFRESH = 0.2  # seconds
_MARGIN = 2
_GROUPS_SHOWN = 50


class TextReport:
    """`file:line:column: code at /pointer: reason`, and counts at the end."""

    omitted = 0

    def __init__(self, *, summary: bool, to_stderr: bool) -> None:
        """summary: groups at the end, rather than findings. to_stderr: stdout is for events."""
        self.console = stderr() if to_stderr else stdout()
        self._summary = summary

    def on_findings(self, findings: Sequence[Finding]) -> None:
        if self._summary:
            return
        if not self.console.is_terminal:
            self.console.file.writelines(f"{_where(one)}: {_what(one)}\n" for one in findings)
            self.console.file.flush()
            return
        for finding in findings:
            line = Text(f"{_where(finding)}: ", "bold")
            line.append(safe(describe_rule(finding.code, finding.path)), "bold red")
            line.append(f": {safe(finding.reason)}", "not bold")
            print_line(self.console, line, wrap=True)
            _print_snippet(self.console, finding.snippet)

    def on_file_end(self, result: FileResult) -> None:
        if result.counts.hidden and not self._summary:
            hidden = f"{result.counts.hidden:,} more findings; --max-errors 0 shows all of them."
            print_line(self.console, Text(f"{safe(result.file)}: {hidden}", "yellow"), wrap=True)

    def on_end(self, result: Result) -> None:
        for group in result.groups[:_GROUPS_SHOWN]:
            line = Text(f"{group.findings:>9,}  ", "bold")
            line.append(safe(describe_rule(group.code, group.path)), "bold yellow")
            print_line(self.console, line)
            sample = group.sample
            print_line(self.console, Text(f"{'':11}{_where(sample)}: {safe(sample.reason)}", "dim"))
        if (more := len(result.groups) - _GROUPS_SHOWN) > 0:
            print_line(self.console, Text(f"{'':11}and {more:,} smaller groups", "dim"))
        style = "bold yellow" if result.exit_code else "bold green"
        print_line(self.console, Text(summary(result), style), wrap=True)


def summary(result: Result) -> str:
    """All counts in one line."""
    counts = result.counts
    parts = [f"{counts.valid:,} valid"]
    if counts.invalid:
        parts.append(f"{counts.invalid:,} invalid")
    if counts.repeated:
        parts.append(f"{counts.repeated:,} repeated")
    if counts.findings:
        parts.append(_number(counts.findings, "finding"))
    if result.unreadable:
        parts.append(f"{_number(len(result.unreadable), 'file')} not read to the end")
    text = f"{_number(counts.events, 'event')}: {', '.join(parts)}."
    return text if result.complete else f"{text} Interrupted: this is not all."


def show_summary(result: Result, omitted: int) -> None:
    """All counts on stderr, where stdout is for machines. omitted: findings left out of it."""
    text = summary(result)
    if omitted:
        text += f" {_number(omitted, 'finding')} left out: the format has no room for more."
    print_line(stderr(), Text(text), wrap=True)


def show_warning(text: str) -> None:
    """A line on stderr."""
    print_line(stderr(), Text(f"dlmon: {safe(text)}"), wrap=True)


def show_unreadable(result: Result) -> None:
    """On stderr, why files could not be read to their end, and up to where they were checked."""
    for one in result.unreadable:
        where = f" It was checked up to line {one.line:,}." if one.counts.events else ""
        print_line(stderr(), Text(f"dlmon: {safe(str(one.error))}{where}"), wrap=True)


@contextmanager
def progress_bar(report: FinalReport, size: int | None, *, hidden: bool) -> Iterator[Progress]:
    """A bar on a terminal, where a report would not run into it.

    size: bytes of all files, None if that is unknown.
    """
    console = stderr()
    if isinstance(report, TextReport) and report.console.is_terminal:
        console = report.console  # one for both, so that the bar stays below the findings
    elif not hidden and is_terminal(sys.stdout):
        hidden = True
    if hidden or not console.is_terminal:
        yield lambda _read, _counts: None
        return
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    # Nothing is redirected: stdout may be a file all the same.
    bar = Bar(
        BarColumn(),
        DownloadColumn(binary_units=True),
        TextColumn("{task.description}", markup=False),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
        auto_refresh=False,  # without a thread: the system may not allow another one
    )
    task = bar.add_task("", total=size)
    started = drawn = time.monotonic()

    def update(read: int, counts: Counts) -> None:
        nonlocal drawn
        now = time.monotonic()
        if now - drawn < _REFRESH:
            return
        if not bar.live.is_started:
            bar.start()  # what takes no longer than this needs no bar
        drawn = now
        rate = counts.events / (now - started)
        text = f"{rate:,.0f} events/s, {_number(counts.findings, 'finding')}"
        bar.update(task, completed=read, description=text, refresh=True)

    try:
        yield update
    finally:
        if bar.live.is_started:
            bar.stop()


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _where(finding: Finding) -> str:
    return f"{safe(finding.file)}:{finding.position.line}:{finding.position.column}"


def _what(finding: Finding) -> str:
    return f"{safe(describe_rule(finding.code, finding.path))}: {safe(finding.reason)}"


def _print_snippet(console: Console, snippet: Snippet) -> None:
    """As much of the line as fits around the place, which is underlined."""
    room = console.width - _MARGIN
    first = max(0, min(snippet.start - room // 3, len(snippet.text) - room))
    before = safe(snippet.text[first : snippet.start])
    marked = safe(snippet.text[snippet.start : snippet.end])
    line = Text(" " * _MARGIN).append(before, "dim").append(marked, "bold")
    print_line(console, line.append(safe(snippet.text[snippet.end :]), "dim"))
    start = _MARGIN + cell_len(before)
    width = max(1, min(cell_len(marked), console.width - start))
    print_line(console, Text(" " * start).append("^" * width, "bold red"))
