"""The progress of `produce`: one live line on a terminal, log lines elsewhere."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.text import Text

from dlmon.commands.produce import ProduceResult
from dlmon.console.lines import print_line, stderr
from dlmon.console.text import safe
from dlmon.errors import PublishRefused
from dlmon.monitoring.observers import ProduceObserver
from dlmon.monitoring.totals import ProduceTotals
from dlmon.sources.base import VALID

_REFRESH = 0.25  # seconds
_RATE_OVER = 5.0
_LOG_EVERY = 10.0


@contextmanager
def watch(
    where: str | None, *, to_terminal: bool, command: str = "produce"
) -> Iterator[ProduceObserver]:
    """Shows the progress. where: what events are sent to, None where they are printed.

    to_terminal: events are printed to the terminal that a live line would be on. command: its name.
    """
    console = stderr()
    if to_terminal:
        yield ProduceObserver()
    elif console.is_terminal and not console.is_dumb_terminal:
        with LiveLine(console, where, command) as line:
            yield line
    else:
        log = logging.getLogger(f"dlmon.{command}")
        verb = "Forwarding" if command == "forward" else "Producing"
        log.info("%s to %s.", verb, where or "stdout")
        yield ProduceLog(log, confirms=where is not None)


class ProduceLog(ProduceObserver):
    """One line every ten seconds."""

    def __init__(self, log: logging.Logger, *, confirms: bool) -> None:
        self._log = log
        self._confirms = confirms
        self._logged_at = time.monotonic()
        self._logged_sent = 0

    def on_progress(self, totals: ProduceTotals) -> None:
        now = time.monotonic()
        if (seconds := now - self._logged_at) >= _LOG_EVERY:
            rate = (totals.sent - self._logged_sent) / seconds
            self._log.info("%s; %s now.", _counts(totals, confirms=self._confirms), _rate(rate))
            self._logged_at, self._logged_sent = now, totals.sent


class LiveLine(ProduceObserver):
    """Counts and rates, drawn in place by the thread that produces."""

    def __init__(self, console: Console, where: str | None, command: str) -> None:
        self._where = where
        self._command = command
        self._started = time.monotonic()
        self._drawn_at = 0.0
        self._totals = ProduceTotals()
        self._refusal: PublishRefused | None = None
        self._sent: deque[tuple[float, int]] = deque([(self._started, 0)])
        self._live = Live(
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            get_renderable=self._render,
        )

    def __enter__(self) -> LiveLine:
        self._live.start(refresh=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def on_progress(self, totals: ProduceTotals) -> None:
        self._totals = totals
        self._draw()

    def on_refused(self, error: PublishRefused | None) -> None:
        self._refusal = error
        self._draw(at_once=True)

    def _draw(self, *, at_once: bool = False) -> None:
        now = time.monotonic()
        if now - self._drawn_at < _REFRESH and not at_once:
            return
        self._drawn_at = now
        self._sent.append((now, self._totals.sent))
        while now - self._sent[0][0] > _RATE_OVER and len(self._sent) > 2:
            self._sent.popleft()
        self._live.refresh()

    def _render(self) -> Text:
        (since, before), (now, sent) = self._sent[0], self._sent[-1]
        rate = (sent - before) / (now - since) if now > since else 0.0
        elapsed = timedelta(seconds=int(time.monotonic() - self._started))
        line = Text(no_wrap=True, overflow="ellipsis")
        line.append(f"dlmon {self._command}  ", "bold")
        line.append(_counts(self._totals, confirms=self._where is not None), "green")
        line.append(f"  {_rate(rate)}  {elapsed}")
        if self._refusal is not None:
            line.append(f"  refused: {safe(str(self._refusal))}", "bold yellow")
        else:
            line.append(f"  → {safe(self._where or 'stdout')}", "dim")
        return line


def show_summary(result: ProduceResult, ledger: Path | None, *, confirms: bool) -> None:
    """Print the result on stderr. confirms: there was a broker to confirm events."""
    totals = result.totals
    rate = totals.sent / result.seconds if result.seconds else 0.0
    took = f"in {result.seconds:,.1f} s ({_rate(rate)})"
    text = f"{_counts(totals, confirms=confirms)} {took}"
    valid = totals.verdicts[VALID]
    if broken := totals.verdicts.total() - valid:
        text += f": {valid:,} valid, {broken:,} to be rejected"
    if ledger is not None:
        text += f"; see {safe(str(ledger))}"
    print_line(stderr(), Text(f"{text}."), wrap=True)


def _counts(totals: ProduceTotals, *, confirms: bool) -> str:
    if not confirms:
        return f"{totals.sent:,} printed"
    return f"{totals.sent:,} sent, {totals.confirmed:,} confirmed"


def _rate(rate: float) -> str:
    return f"{rate:,.0f}/s" if rate >= 100 else f"{rate:.3g}/s"
