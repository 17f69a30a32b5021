"""The two queues in a few lines, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.live import Live
from rich.text import Text

from dlmon.brokers.counts import explain_vanished
from dlmon.commands.status import Status
from dlmon.config.names import Names
from dlmon.console.lines import print_line, stdout
from dlmon.console.text import safe
from dlmon.messages import Queue
from dlmon.runtime.timestamps import to_rfc3339


def show_status(status: Status, names: Names, where: str) -> None:
    """A line for each queue."""
    for line in _lines(status, names, where):
        print_line(stdout(), line)


def show_json(status: Status, names: Names) -> None:
    """One line of JSON: for each queue `ready`, `held` (null where it is not known), `consumers`
    (those and readers), `rate` (messages a second by which it grows, null at the first look) and
    `vanished` (fewer than at the look before, though nothing was consuming). Where arrivals has
    several queues, `queues` has each of them by its name."""
    queues: dict[str, dict[str, Any]] = {
        str(queue): {
            "queue": names.queue(queue),
            "ready": depth.ready,
            "held": depth.held,
            "consumers": depth.holders,
            "rate": status.rates.get(queue),
            "vanished": status.vanished.get(queue, 0),
        }
        for queue, depth in status.depths.items()
    }
    if status.several:
        queues["arrivals"]["queues"] = {
            name: {"ready": depth.ready, "held": depth.held, "consumers": depth.holders}
            for name, depth in status.several.items()
        }
    print_line(stdout(), Text(json.dumps({"at": to_rfc3339(int(status.at * 1000)), **queues})))


@contextmanager
def watch(names: Names, where: str) -> Iterator[Callable[[Status], None]]:
    """What shows each status: in place on a terminal, one below the other anywhere else."""
    console = stdout()
    if not console.is_terminal or console.is_dumb_terminal:
        yield lambda status: show_status(status, names, where)
        return
    with Live(console=console, auto_refresh=False) as live:
        yield lambda status: live.update(
            Text("\n").join(_lines(status, names, where)), refresh=True
        )


def _lines(status: Status, names: Names, where: str) -> Iterator[Text]:
    yield Text(safe(where), "dim")
    shown = {
        Queue.ARRIVALS: safe(", ".join(names.all_arrivals)),
        Queue.REJECTS: safe(names.queue(Queue.REJECTS)),
    }
    width = max(map(len, shown.values()))
    for queue, depth in status.depths.items():
        line = Text(f"{shown[queue]:<{width}}")
        waiting = "red" if queue is Queue.REJECTS and depth.ready else "bold"
        line.append(f"{depth.ready:>12,} {'kept' if depth.is_stream else 'ready'}", waiting)
        if depth.held is not None:
            line.append(f"{depth.held:>10,} held")
        else:
            line.append(f"{depth.holders:>6,} consumers")
        if queue in status.rates:
            line.append(f"{status.rates[queue]:>+12,.1f}/s")
        yield line
    for name, depth in status.several.items():
        yield Text(f"  {safe(name)}: {depth.ready:,} ready, {depth.holders:,} consumers", "dim")
    for queue, count in status.vanished.items():
        yield Text(explain_vanished(shown[queue], count), "yellow")
