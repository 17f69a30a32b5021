"""An examination in lines, for people and for programs."""

from __future__ import annotations

import json

from rich.text import Text

from dlmon.brokers.base import Check
from dlmon.console.lines import print_line, stdout
from dlmon.console.text import safe


def show_check(check: Check) -> None:
    """One step: ok, FAILED with what to do, or a question mark where it cannot be told."""
    if check.error is not None:
        line = Text.assemble(("FAILED  ", "bold red"), (safe(check.name), "bold"))
    elif not check.known:
        line = Text.assemble(("?       ", "yellow"), safe(check.name))
    else:
        line = Text.assemble(("ok      ", "green"), safe(check.name))
    print_line(stdout(), line.append(f": {safe(check.text)}"), wrap=True)


def show_json(check: Check) -> None:
    """One line of JSON: `name`, `state` (ok, failed or unknown) and `text`."""
    state = "failed" if check.error is not None else "ok" if check.known else "unknown"
    found = {"name": check.name, "state": state, "text": check.text}
    print_line(stdout(), Text(json.dumps(found)))
