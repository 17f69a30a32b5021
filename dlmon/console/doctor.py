"""The steps of `dlmon doctor` in lines, for people and for programs."""

from __future__ import annotations

import json

from rich.text import Text

from dlmon.brokers.base import Check
from dlmon.console.lines import print_line, stdout
from dlmon.console.text import safe


def show_check(check: Check) -> None:
    """One step: ok, FAILED or WARNING with what to do, or a question mark where it is not known."""
    if check.error is not None:
        line = Text.assemble(("FAILED  ", "bold red"), (safe(check.name), "bold"))
    elif check.warning:
        line = Text.assemble(("WARNING ", "bold yellow"), (safe(check.name), "bold"))
    elif not check.known:
        line = Text.assemble(("?       ", "yellow"), safe(check.name))
    else:
        line = Text.assemble(("ok      ", "green"), safe(check.name))
    print_line(stdout(), line.append(f": {safe(check.text)}"), wrap=True)


def show_json(check: Check) -> None:
    """One line of JSON: `name`, `state` (ok, failed, warning or unknown) and `text`."""
    if check.error is not None:
        state = "failed"
    elif check.warning:
        state = "warning"
    else:
        state = "ok" if check.known else "unknown"
    found = {"name": check.name, "state": state, "text": check.text}
    print_line(stdout(), Text(json.dumps(found)))
