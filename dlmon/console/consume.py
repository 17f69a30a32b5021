"""How `consume` shows what it does: a live view on a terminal, log lines anywhere else."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from dlmon.commands.consume import ConsumeResult
from dlmon.console.lines import print_line, stderr
from dlmon.console.text import safe
from dlmon.errors import DlmonError
from dlmon.event import (
    COORDINATES,
    DOWNLOAD_SPEED,
    FILE_SIZE,
    LATITUDE,
    LONGITUDE,
    TIMESTAMP,
)
from dlmon.monitoring.observers import ConsumeObserver
from dlmon.monitoring.totals import ConsumeTotals
from dlmon.rejects.rejection import Rejection
from dlmon.stores.base import Entry
from dlmon.validation.violations import describe_rule

_REFRESH = 0.25  # seconds; drawing takes some 3 ms each time
_RATE_WINDOW = 5.0
_LINES_WITHOUT_LISTS = 9
_TOP = 5
_MIN_EVENTS = 3

_LOG_INTERVAL = 5.0
_LOGGED_REJECTS = 20  # a second
_LOGGED_REASON = 200  # characters

_log = logging.getLogger("dlmon.consume")


@contextmanager
def watch(
    where: str, store: str, *, queue: str = "", to_stdout: bool = False, command: str = "consume"
) -> Iterator[ConsumeObserver]:
    """Show progress inside the block, through the observer that it yields.

    where, store: from where to where events flow. queue: the name of the queue in log lines.
    command: what is running. to_stdout: events are printed on the terminal, so that there is no
    room for a live view.
    """
    console = stderr()
    if console.is_terminal and not console.is_dumb_terminal and not to_stdout:
        with ConsumeView(console, command, where, store) as view:
            yield view
    else:
        _log.info("Consuming %s into %s.", where, store)
        log = ConsumeLog(queue)
        yield log
        log.log_other_rejects()


class ConsumeLog(ConsumeObserver):
    """Logs the totals every few seconds, and each reject unless there are very many."""

    def __init__(self, queue: str) -> None:
        self._queue = queue
        self._logged_received = 0
        self._logged_at = time.monotonic() - _LOG_INTERVAL
        self._second = 0
        self._rejects_left = 0
        self._logged_rejects = 0
        self._rejects = 0

    def on_settled(
        self,
        totals: ConsumeTotals,
        stored: Sequence[Entry],  # noqa: ARG002
        rejections: Sequence[Rejection],
    ) -> None:
        for rejection in rejections:
            self._log_reject(rejection)
        self._rejects = totals.rejected.count
        self._log_totals(totals)

    def on_idle(self, totals: ConsumeTotals) -> None:
        self._rejects = totals.rejected.count
        self.log_other_rejects()
        self._log_totals(totals)

    def log_other_rejects(self) -> None:
        """Log the number of rejects that got no line of their own."""
        if (unlogged := self._rejects - self._logged_rejects) > 0:
            _log.info("Rejected %d more; dlmon inspect-rejects shows them.", unlogged)
            self._logged_rejects = self._rejects

    def _log_reject(self, rejection: Rejection) -> None:
        second = int(time.monotonic())
        if second != self._second:
            self.log_other_rejects()
            self._second, self._rejects_left = second, _LOGGED_REJECTS
        if self._rejects_left == 0:
            return
        self._rejects_left -= 1
        self._logged_rejects += 1
        _log.info(
            "Rejected %s: %s: %s",
            safe(rejection.message_id, _LOGGED_REASON),
            safe(describe_rule(rejection.code, rejection.path), _LOGGED_REASON),
            safe(rejection.reason, _LOGGED_REASON),
            extra={
                "dlmon.queue": self._queue,
                "event.id": safe(rejection.message_id, _LOGGED_REASON),
                "dlmon.code": safe(rejection.code),
                "dlmon.path": safe(rejection.path, _LOGGED_REASON),
                "dlmon.origin": safe(rejection.origin, _LOGGED_REASON),
            },
        )

    def _log_totals(self, totals: ConsumeTotals) -> None:
        now = time.monotonic()
        new = totals.received - self._logged_received
        if new and now - self._logged_at >= _LOG_INTERVAL:
            _log.info("%s; +%s. %s", _counts(totals), f"{new:,}", _delay(totals))
            self._logged_received, self._logged_at = totals.received, now


class ConsumeView(ConsumeObserver):
    """Totals, rates, percentiles, top rejections and last events, drawn in place.

    The thread that consumes draws it, so that nothing changes meanwhile.
    """

    def __init__(self, console: Console, command: str, where: str, store: str) -> None:
        self._console = console
        self._title = Text.assemble(
            (f"dlmon {command}  ", "bold"), (f"{safe(where)} → {safe(store)}", "dim")
        )
        self._started = time.monotonic()
        self._drawn_at = 0.0
        self._totals = ConsumeTotals()
        self._held: DlmonError | None = None
        self._received: deque[tuple[float, int]] = deque([(self._started, 0)])
        self._last: deque[Entry | Rejection] = deque(maxlen=max(_MIN_EVENTS, console.height))
        self._live = Live(
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            get_renderable=self._render,
        )

    def __enter__(self) -> ConsumeView:
        self._live.start(refresh=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def on_settled(
        self, totals: ConsumeTotals, stored: Sequence[Entry], rejections: Sequence[Rejection]
    ) -> None:
        room = self._last.maxlen or 0
        self._last.extend(stored[-room:])
        self._last.extend(rejections[-room:])
        self.on_idle(totals)

    def on_idle(self, totals: ConsumeTotals) -> None:
        self._totals = totals
        self._draw()

    def on_holding(self, error: DlmonError | None) -> None:
        self._held = error
        self._draw()

    def _draw(self) -> None:
        now = time.monotonic()
        if now - self._drawn_at >= _REFRESH:
            self._drawn_at = now
            self._received.append((now, self._totals.received))
            while self._received[0][0] < now - _RATE_WINDOW and len(self._received) > 2:
                self._received.popleft()
            self._live.refresh()

    def _render(self) -> Group:
        lines = [self._title, Text(), *self._numbers()]
        if self._held is not None:
            lines.append(Text(f"holding: {safe(str(self._held))}", "bold yellow"))
        top = self._totals.rejected.largest_first()[:_TOP]
        if top:
            lines += [Text(), Text("top rejections", "bold")]
            for group in top:
                count = f"{group.count:>9,}  {group.count / self._totals.rejected.count:>5.1%}  "
                lines.append(
                    Text.assemble((count, "red"), safe(describe_rule(group.code, group.path)))
                )
        room = self._console.height - _LINES_WITHOUT_LISTS - (len(top) + 2 if top else 0)
        if self._last:
            lines += [Text(), Text("last events", "bold")]
            lines += [_event_line(item) for item in list(self._last)[-max(_MIN_EVENTS, room) :]]
        for line in lines:
            line.no_wrap, line.overflow = True, "ellipsis"
        return Group(*lines)

    def _numbers(self) -> Iterator[Text]:
        totals = self._totals
        (since, before), (now, received) = self._received[0], self._received[-1]
        rate = (received - before) / (now - since) if now > since else 0.0
        seconds = time.monotonic() - self._started
        elapsed = timedelta(seconds=int(seconds))
        yield Text.assemble(
            (f"{totals.received:,}", "bold"),
            " received   ",
            (f"{totals.stored:,}", "bold green"),
            f" stored   {totals.duplicates:,} duplicates   ",
            (f"{totals.rejected.count:,}", "bold red" if totals.rejected.count else ""),
            " rejected",
            f"   {totals.deleted:,} deleted" if totals.deleted else "",
        )
        yield Text(f"{rate:,.0f}/s now   {totals.received / seconds:,.0f}/s on average   {elapsed}")
        yield Text(_delay(totals))
        yield Text(_speed(totals))


def show_summary(result: ConsumeResult) -> None:
    """Print the totals on stderr."""
    console = stderr()
    totals = result.totals
    rate = totals.received / result.seconds if result.seconds else 0.0
    took = f"in {result.seconds:,.1f} s ({rate:,.0f}/s)"
    print_line(console, Text(f"{_counts(totals)} {took}"), wrap=True)
    if totals.delay.count:
        print_line(console, Text(_delay(totals)))
    if totals.speed.count:
        print_line(console, Text(_speed(totals)))
    if totals.deleted:
        what = "deleted from the store, because they were older than --keep."
        print_line(console, Text(f"{totals.deleted:,} events {what}"), wrap=True)
    if totals.rejected.count:
        for group in totals.rejected.largest_first()[:_TOP]:
            what = safe(describe_rule(group.code, group.path))
            print_line(console, Text(f"{group.count:>9,} {what}"))
        print_line(console, Text("dlmon inspect-rejects shows what was rejected, and why."))


def _counts(totals: ConsumeTotals) -> str:
    packed = f" in {totals.messages:,} messages" if totals.messages < totals.received else ""
    return (
        f"{totals.received:,} received{packed}: {totals.stored:,} stored, "
        f"{totals.duplicates:,} duplicates, {totals.rejected.count:,} rejected"
    )


def _delay(totals: ConsumeTotals) -> str:
    p50, p99 = totals.delay.quantile(0.5), totals.delay.quantile(0.99)
    if p50 is None or p99 is None:
        return "published to stored: no times yet"
    return f"published to stored: p50 {_duration(p50)}, p99 {_duration(p99)}"


def _duration(milliseconds: float) -> str:
    if milliseconds < 10_000:
        return f"{milliseconds:,.0f} ms"
    return str(timedelta(seconds=round(milliseconds / 1000)))


def _speed(totals: ConsumeTotals) -> str:
    shares = [(share, totals.speed.quantile(share / 100)) for share in (10, 50, 90, 99)]
    text = ", ".join(f"p{share} {speed:,.3g}" for share, speed in shares if speed is not None)
    return f"download speed: {text} Mbit/s" if text else "download speed: none yet"


def _event_line(item: Entry | Rejection) -> Text:
    if isinstance(item, Rejection):
        what = f"{safe(describe_rule(item.code, item.path))}: {safe(item.reason, _LOGGED_REASON)}"
        return Text.assemble((f"  rejected {safe(item.message_id)} ", "red"), what)
    event = item.event
    try:
        coordinates = event[COORDINATES]
        return Text(
            f"  {safe(event[TIMESTAMP])}  {coordinates[LATITUDE]:>9.4f} "
            f"{coordinates[LONGITUDE]:>9.4f}  {event[FILE_SIZE] / 1e6:>12,.3f} MB "
            f"{event[DOWNLOAD_SPEED]:>10,.2f} Mbit/s  {safe(item.event_id)}"
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        # With another schema an event may have any shape.
        return Text(f"  {safe(item.body.decode(errors='replace'), _LOGGED_REASON)}")
