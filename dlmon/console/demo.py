"""The result of a demo, and what to type next."""

from __future__ import annotations

from pathlib import Path

from rich.text import Text

from dlmon.commands.demo import DemoResult
from dlmon.console.lines import print_line, stdout
from dlmon.console.text import safe
from dlmon.validation.violations import describe_rule

_SHOWN = 5


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
        ("dlmon produce --broker local --rate 50", "more events, in one terminal"),
        ("dlmon consume --broker local", "and in another: watch them arrive"),
    ):
        print_line(console, Text.assemble((f"  {command:<40}", "cyan"), f"  {what}"), wrap=True)
    print_line(console, Text(f"Valid events are in the table events of {store}."), wrap=True)
