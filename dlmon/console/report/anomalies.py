"""Anomalies as a table, for people."""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len
from rich.text import Text

from dlmon.analysis.anomalies import Anomaly, Group, Kind
from dlmon.analysis.geography import world
from dlmon.analysis.hours import format_hour
from dlmon.commands.report import AnomalyReport
from dlmon.console.lines import print_line, stderr, stdout
from dlmon.console.text import fitted

_HEADS = ("what", "where", "since", "until", "now", "usual", "change", "downloads", "visible from")


def show_anomalies_as_text(report: AnomalyReport) -> None:
    """The table on stdout, and on stderr what it was compared with."""
    console = stdout()
    found = report.anomalies.found
    if found:
        table = [_HEADS, *map(_cells, found)]
        widths = [max(cell_len(row[column]) for row in table) for column in range(len(_HEADS))]
        for number, row in enumerate(table):
            style = "bold" if not number else ""
            line = "  ".join(map(fitted, row, widths)).rstrip()
            print_line(console, Text(line, style))
    for note in _notes(report):
        print_line(stderr(), Text(note, "dim"), wrap=True)


def place(group: Group) -> str:
    """A group in words."""
    if not group.country:
        return "the world"
    name = world().names[group.country]
    return f"{group.cell} in {name}" if group.cell else name


def _cells(one: Anomaly) -> tuple[str, ...]:
    slow = one.kind is Kind.SLOW
    unit = " Mbit/s" if slow else "/h"
    return (
        f"{one.kind}, by the mix of sizes alone" if one.only_mix else str(one.kind),
        place(one.group),
        format_hour(one.since),
        format_hour(one.until),
        f"{one.now:.3g}{unit}",
        f"{one.before:.3g}{unit}",
        f"{100 * (one.ratio - 1):+.0f}%",
        f"{one.count:,}",
        "" if one.visible_drop is None else f"{-100 * one.visible_drop:.0f}%",
    )


def _notes(report: AnomalyReport) -> Iterator[str]:
    anomalies = report.anomalies
    if anomalies.weeks is None:
        yield (
            "Nothing to compare with: there are no downloads at the same hours of the last four "
            "weeks, nor of the day before."
        )
        return
    when = f"from {format_hour(report.start)} to {format_hour(report.end)}"
    if not anomalies.found:
        yield f"No anomalies {when}, in {anomalies.tests:,} comparisons."
    usual = "the day before, since there is no older history"
    if anomalies.weeks:
        usual = "the last four weeks" if anomalies.weeks > 1 else "the week before"
    yield f"Usual is the same hour of {usual}."
