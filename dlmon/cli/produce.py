from __future__ import annotations

import re
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlmon.cli.command import described_as, takes_settings
from dlmon.cli.files import LayoutName, encoding_named, layout_named
from dlmon.cli.options import BROKER, LOGGING, METRICS, VALIDATION
from dlmon.cli.signals import stop_on_signals
from dlmon.cli.used_files import refuse_shared_files
from dlmon.errors import UsageError
from dlmon.runtime.interpreter import tune_gc
from dlmon.runtime.stdio import is_terminal
from dlmon.runtime.timestamps import parse_duration, parse_moment

if TYPE_CHECKING:
    from dlmon.config.settings import Settings
    from dlmon.sources.simulation.slowdowns import Slowdown

_SIMULATION_PANEL = "Simulated events"
_SHARE = re.compile(r"(\d+(?:\.\d+)?)(%?)", flags=re.ASCII)
_LOWEST_RATE, _HIGHEST_RATE = 0.001, 1_000_000
_DEFAULT_RATE = 10.0


def _kinds_of_fault() -> list[str]:
    from dlmon.sources.simulation.faults import FAULTS

    return [fault.kind for fault in FAULTS]


@described_as(
    """Send simulated download events, or recorded ones.

    Returns when the broker has confirmed every event. Ctrl-C ends it earlier, and waits for the
    confirms too.

    \b
    Examples:
      dlmon produce
      dlmon produce --broker local --rate 100 --invalid 5% --duration 30s
      dlmon produce --from events.ndjson --rate 0
      dlmon produce --to-stdout --count 3 --fault too-large --fault not-json
    """
)
@takes_settings(BROKER, VALIDATION, METRICS, LOGGING)
def produce(
    settings: Settings,
    context: typer.Context,
    *,
    rate: Annotated[
        float,
        typer.Option(
            metavar="N",
            help="Events a second, 0 for as fast as the broker confirms. After a stall it goes on "
            "at this rate: what was missed does not come in a burst.",
        ),
    ] = _DEFAULT_RATE,
    count: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="End after so many events.")
    ] = None,
    duration: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="End after so long: 30s, 5m, 2h, or a number of seconds."
        ),
    ] = None,
    from_: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            readable=False,
            help="Send recorded events instead, - for stdin: NDJSON, JSON or arrays of events, as "
            "they are or packed with gzip or zstd. Each goes out byte for byte, valid or not.",
        ),
    ] = None,
    format_: LayoutName = None,
    to_stdout: Annotated[
        bool, typer.Option("--to-stdout", help="Print the events, without any broker.")
    ] = False,
    ledger: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help='Append to FILE {"id":...,"verdict":...} before an event is sent, with "valid" or '
            'the code it should be rejected with, and {"id":...,"confirmed":true} once the broker '
            "has it. Nothing of this is lost when the process is killed.",
        ),
    ] = None,
    events_per_message: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=10_000,
            metavar="N",
            help="Pack so many events into a message, as NDJSON. An event that is not told from "
            "the others by its line and its id goes alone.",
        ),
    ] = None,
    compress: Annotated[
        str | None, typer.Option(metavar="NAME", help="Compress messages: gzip or zstd.")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="With --start too, the same seed gives the same events, ids included: sent twice, "
            "they are duplicates. Without it, times and ids follow the clock.",
            rich_help_panel=_SIMULATION_PANEL,
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Timestamp of the first event: RFC 3339, or how long ago (2h, 3d). The others "
            "follow at the rate (10 a second where that is 0). Without it they follow the clock.",
            rich_help_panel=_SIMULATION_PANEL,
        ),
    ] = None,
    slow: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHERE:FACTOR",
            help="Multiply the speeds in a country or a cell (geohash), such as country=IE:0.5 or "
            "cell=gc7x:0.5, always or with ,from=TIME and ,until=TIME after it. Can be given "
            "several times.",
            rich_help_panel=_SIMULATION_PANEL,
        ),
    ] = None,
    invalid: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE",
            help="Break so many of the events: 5% or 0.05. Without it none; with --fault all.",
            rich_help_panel=_SIMULATION_PANEL,
        ),
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND",
            help="Break them in this way, instead of in every way in turn. Can be given several "
            "times; an unknown KIND shows all.",
            autocompletion=_kinds_of_fault,
            rich_help_panel=_SIMULATION_PANEL,
        ),
    ] = None,
) -> None:
    import sys

    from dlmon.brokers import open_broker
    from dlmon.commands import produce as command
    from dlmon.commands.configured import configured_validator
    from dlmon.console import produce as console
    from dlmon.messages import Queue
    from dlmon.monitoring.prometheus import serve_producer_metrics
    from dlmon.sources.base import EventSource, ValidatedSource
    from dlmon.sources.ledger import Ledger
    from dlmon.sources.pacing import Pace
    from dlmon.sources.packing import Packer
    from dlmon.sources.recorded import RecordedEvents
    from dlmon.sources.simulation import Simulation
    from dlmon.sources.simulation.faults import find_faults

    _refuse_without("--from", from_, {"--format": format_})
    simulating = {
        "--seed": seed,
        "--start": start,
        "--slow": slow,
        "--invalid": invalid,
        "--fault": fault,
    }
    _refuse_beside("--from", from_, simulating)
    connecting = {
        **{f"--{name.replace('_', '-')}": context.params[name] for name in BROKER},
        "--events-per-message": events_per_message,
        "--compress": compress,
    }
    _refuse_beside("--to-stdout", to_stdout or None, connecting)
    if rate != 0 and not _LOWEST_RATE <= rate <= _HIGHEST_RATE:
        raise UsageError(f"--rate: expected 0, or {_LOWEST_RATE} to {_HIGHEST_RATE:,} a second.")
    refuse_shared_files(
        settings, written={"--ledger": ledger}, read={"--from": [from_] if from_ else []}
    )
    pace = Pace(rate, None if duration is None else _seconds(duration))
    tune_gc()
    where = None if to_stdout else f"{settings.names.queue(Queue.ARRIVALS)} at {settings.broker}"
    with ExitStack() as opened:
        stop = opened.enter_context(stop_on_signals())
        source: EventSource
        if from_ is not None:
            source = opened.enter_context(RecordedEvents(from_, layout_named(format_)))
        else:
            source = Simulation(
                seed=seed,
                start=None if start is None else _moment(start),
                interval=1 / (rate or _DEFAULT_RATE),
                invalid=(1.0 if fault else 0.0) if invalid is None else _share(invalid),
                faults=find_faults(fault or ()),
                max_event_bytes=settings.max_event_bytes,
                slowdowns=_slowdowns(slow) if slow else (),
            )
        if ledger is not None and (from_ is not None or settings.schema is not None):
            validator = configured_validator(settings)
            source = ValidatedSource(source, validator)
        written = None if ledger is None else opened.enter_context(Ledger(ledger))
        if to_stdout:
            mixed = is_terminal(sys.stdout)
            observer = opened.enter_context(console.watch(None, to_terminal=mixed))
            result = command.print_events(
                source, pace, stop, count=count, ledger=written, observer=observer
            )
        else:
            sink = opened.enter_context(open_broker(settings, stop))
            observer = opened.enter_context(console.watch(where, to_terminal=False))
            if settings.metrics is not None:
                observer = opened.enter_context(
                    serve_producer_metrics(observer, settings.metrics, sink)
                )
            result = command.produce(
                sink,
                source,
                pace,
                stop,
                count=count,
                ledger=written,
                observer=observer,
                packer=Packer(events_per_message or 1, encoding_named(compress)),
            )
    console.show_summary(result, ledger, confirms=not to_stdout)
    if result.error is not None:
        raise result.error


def _refuse_beside(name: str, value: object, others: Mapping[str, object]) -> None:
    """Raises: UsageError when an option is given along with others that exclude it."""
    given = [other for other, value in others.items() if value is not None]
    if value is not None and given:
        raise UsageError(f"{' and '.join(given)} cannot be used with {name}: choose one.")


def _refuse_without(name: str, value: object, others: Mapping[str, object]) -> None:
    """Raises: UsageError when options are given that mean nothing without another one."""
    given = [other for other, one in others.items() if one is not None]
    if value is None and given:
        raise UsageError(f"{' and '.join(given)} goes with {name}.")


def _seconds(text: str) -> float:
    try:
        seconds = parse_duration(text, unit="s").total_seconds()
    except ValueError as error:
        raise UsageError(f"--duration: {error}.") from error
    if not seconds:
        raise UsageError(f"--duration: expected more than nothing, got {text!r}.")
    return seconds


def _share(text: str) -> float:
    match = _SHARE.fullmatch(text)
    share = float(match[1]) / (100 if match[2] else 1) if match else 2.0
    if share > 1:
        raise UsageError(f"--invalid: expected 0% to 100%, or 0 to 1, got {text!r}.")
    return share


def _slowdowns(texts: list[str]) -> tuple[Slowdown, ...]:
    from dlmon.analysis.geography import world
    from dlmon.sources.simulation.slowdowns import parse_slowdowns

    return parse_slowdowns(texts, time.time_ns() // 1_000_000, world().names)


def _moment(text: str) -> int:
    try:
        return parse_moment(text, time.time_ns() // 1_000_000)
    except ValueError as error:
        raise UsageError(f"--start: {error}.") from error
