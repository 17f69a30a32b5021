"""Answers as a table with small bars, for people. In a pipe, in whole lines without bars."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import log

from rich.cells import cell_len
from rich.text import Text

from dlmon.analysis.hours import format_hour
from dlmon.analysis.report import MIN_PERCENTILE, Answer, Row
from dlmon.commands.report import Report
from dlmon.console.lines import print_line, stderr, stdout
from dlmon.console.report.numbers import HEADS, format_bytes, format_share, format_speed
from dlmon.console.text import counted, fitted

_MIN_BAR, _MAX_BAR = 6, 24  # columns
_BAR_HEAD = "p10 ● p90"  # the dot of a bar is p50
_MAX_LABEL = 28


def show_text(report: Report) -> None:
    """The table on stdout, and on stderr what may be missing from it."""
    console = stdout()
    answer = report.answer
    if answer.rows:
        for line in _table(answer, console.width if console.is_terminal else 0):
            print_line(console, line)
    for note in notes(report):
        print_line(stderr(), Text(note, "dim"), wrap=True)


def notes(report: Report) -> Iterator[str]:
    """What a reader has to know beside the numbers, in sentences."""
    answer = report.answer
    total = answer.total
    if not total.count:
        yield _nothing(report)
        return
    if left_out := total.count - total.measured:
        yield (
            f"Of {counted(total.count, 'download')}, {left_out:,} are in no percentile of speeds: "
            "files under 100 kB, and speeds of 0."
        )
    if any(row.measured < MIN_PERCENTILE for row in answer.rows):
        yield f"A dash stands where fewer than {MIN_PERCENTILE} speeds are known."
    if answer.hidden:
        yield (
            f"{counted(answer.hidden, 'cell')} with fewer than {answer.question.min_count} "
            "downloads left out."
        )


def _nothing(report: Report) -> str:
    question = report.answer.question
    text = f"No downloads from {format_hour(question.start)} to {format_hour(question.end)}"
    if question.where.countries() is not None or question.where.cell:
        text += " at that place"
    if report.first is not None and report.last is not None:
        first, last = format_hour(report.first), format_hour(report.last)
        text += f"; the store has some from {first} to {last}: --since {first[:10]}"
    return f"{text}."


@dataclass(frozen=True, slots=True)
class _Column:
    head: str
    value: Callable[[Row], str]


def _table(answer: Answer, width: int) -> Iterator[Text]:
    """The lines of the table. width: columns of the terminal, 0 without one."""
    columns = [
        _Column("downloads", lambda row: f"{row.count:,}"),
        _Column("bytes", lambda row: format_bytes(row.volume)),
        _Column("speeds", lambda row: f"{row.measured:,}"),
        _Column("p50 Mbit/s", lambda row: format_speed(row.p50)),
        _Column("p10", lambda row: format_speed(row.p10)),
        _Column("p90", lambda row: format_speed(row.p90)),
    ]
    if answer.question.threshold is not None:
        head = f"below {answer.question.threshold:g}"
        columns.append(_Column(head, lambda row: format_share(row.below)))
    columns.append(_Column("size", lambda row: format_bytes(row.size)))
    rows = [*answer.rows, answer.total] if len(answer.rows) > 1 else [*answer.rows]
    labels = [row.label for row in rows]
    first = max(map(cell_len, (*labels, HEADS[answer.question.by])))
    if width:
        first = min(_MAX_LABEL, first)
    widths = [
        max(len(column.head), *(len(column.value(row)) for row in rows)) for column in columns
    ]
    used = first + sum(width + 2 for width in widths) + 2
    scale = _Scale.of(rows, min(_MAX_BAR, width - used)) if width - used >= _MIN_BAR else None
    top = Text(f"{HEADS[answer.question.by]:<{first}}", "bold")
    for column, columns_wide in zip(columns, widths, strict=True):
        top.append(f"  {column.head:>{columns_wide}}")
    if scale:
        top.append(f"  {_BAR_HEAD if scale.width >= len(_BAR_HEAD) else ''}")
    yield top
    for row in rows:
        line = Text(fitted(row.label, first), "bold" if row is answer.total else "")
        for column, columns_wide in zip(columns, widths, strict=True):
            line.append(f"  {column.value(row):>{columns_wide}}")
        if scale:
            line.append("  ")
            line.append_text(scale.bar(row))
        yield line


@dataclass(frozen=True, slots=True)
class _Scale:
    """A logarithmic scale of speeds. low, high: the logarithms of its ends. width: columns."""

    low: float
    high: float
    width: int

    @classmethod
    def of(cls, rows: Sequence[Row], width: int) -> _Scale | None:
        """From the lowest p10 to the highest p90; None where no speed is known."""
        lows = [log(row.p10) for row in rows if row.p10]
        highs = [log(row.p90) for row in rows if row.p90]
        return cls(min(lows), max(highs), width) if lows and highs else None

    def bar(self, row: Row) -> Text:
        """From p10 to p90, with p50 marked."""
        if not row.p10 or not row.p50 or not row.p90:
            return Text()
        extent = (self.high - self.low) or 1.0
        left, middle, right = (
            min(self.width - 1, int((log(value) - self.low) / extent * self.width))
            for value in (row.p10, row.p50, row.p90)
        )
        return Text.assemble(
            " " * left,
            ("─" * (middle - left), "cyan"),
            ("●", "bold cyan"),
            ("─" * (right - middle), "cyan"),
        )
