"""The result of a demo, and what to type next."""

from __future__ import annotations

from pathlib import Path

from rich.text import Text

from dlmon.analysis.anomalies import WEEKS
from dlmon.analysis.geography import world
from dlmon.analysis.hours import format_hour
from dlmon.commands.demo import DemoResult
from dlmon.commands.demo_anomaly import HOURS, Injected
from dlmon.commands.report import AnomalyReport, Report
from dlmon.console.lines import print_line, stdout
from dlmon.console.report.anomalies import show_anomalies_as_text
from dlmon.console.report.world_map import show_map
from dlmon.console.text import safe
from dlmon.validation.violations import describe_rule

_SHOWN = 5
_COUNTRIES = 3


def show_demo(result: DemoResult, store: Path) -> None:
    """Print on stdout where every event is. store: the SQLite file."""
    console = stdout()
    totals = result.consumed.totals
    counts = (
        f"{result.produced.totals.sent:,} produced = "
        f"{result.stored:,} stored + {result.rejected:,} rejected"
    )
    if result.missing:
        counts += f" + {len(result.missing):,} missing"
    print_line(console, Text.assemble((counts, "bold"), ", each looked for by its id."))
    if result.missing:
        print_line(console, Text("Missing is, for example:", "bold red"))
        for event in result.missing[:_SHOWN]:
            text = f"  {safe(event.message_id)}, which should be {safe(event.verdict or '')}"
            print_line(console, Text(text))
        return
    if totals.rejected.count:
        print_line(console, Text("Rejected, most often for:"))
        for group in totals.rejected.largest_first()[:_SHOWN]:
            what = safe(describe_rule(group.code, group.path))
            print_line(console, Text(f"{group.count:>7,}  {what}"))
    print_line(console, Text())
    print_line(console, Text("What to type next:", "bold"))
    for command, what in (
        ("dlmon inspect-rejects --broker local", "why events were rejected"),
        ("dlmon report --by country --map", "how fast the downloads were, and where"),
        ("dlmon produce --broker local --rate 50", "more events, in one terminal"),
        ("dlmon consume --broker local", "and in another: watch them arrive"),
    ):
        print_line(console, Text.assemble((f"  {command:<40}", "cyan"), f"  {what}"), wrap=True)
    print_line(console, Text(f"Valid events are in the table events of {store}."), wrap=True)


def show_speeds(report: Report) -> None:
    """Print on stdout a map on a terminal, and the slowest and the fastest countries."""
    console = stdout()
    if report.speeds is not None and console.is_terminal:
        print_line(console, Text())
        show_map(report.speeds)
    known = [(row.p50, row.label) for row in report.answer.rows if row.p50 is not None]
    if len(known) < 2:
        return
    print_line(console, Text())
    for name, best in (("Slowest", sorted(known)), ("Fastest", sorted(known, reverse=True))):
        countries = ", ".join(f"{safe(label)} {speed:.3g}" for speed, label in best[:_COUNTRIES])
        line = Text.assemble((f"{name} in Mbit/s: ", "bold"), countries)
        print_line(console, line, wrap=True)


def show_anomaly(injected: Injected, report: AnomalyReport, store: str) -> None:
    """Print on stdout what was made slow, and what the report found. store: the URL of the
    downloads."""
    console = stdout()
    what = (
        f"{injected.downloads:,} downloads in {HOURS} hours of {WEEKS + 1} weeks, "
        f"in {world().names[injected.country]} at {injected.factor:g} of the speed from "
        f"{format_hour(injected.hour)} to {format_hour(injected.hour + 1)}."
    )
    print_line(console, Text())
    print_line(console, Text.assemble(("Made slow: ", "bold"), what), wrap=True)
    if injected.is_in(report.anomalies):
        print_line(console, Text("The report finds it:", "bold"))
    else:
        print_line(console, Text("The report does not find it.", "bold red"))
    show_anomalies_as_text(report)
    print_line(console, Text("See it again:", "bold"))
    print_line(
        console, Text(f"  dlmon report --anomalies --store {safe(store)}", "cyan"), wrap=True
    )
