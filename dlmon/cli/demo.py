from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dlmon.cli.command import described_as
from dlmon.cli.signals import stop_on_signals
from dlmon.errors import ExitCode

if TYPE_CHECKING:
    from dlmon.config.settings import Settings
    from dlmon.config.urls import StoreAddress


@described_as(
    """See it work: a producer and a consumer for a few seconds, nothing to install.

    Both use the local broker, a file in your data folder.
    At the end each event is looked for: it is stored, or among the rejects with the reason why.

    \b
    Examples:
      dlmon demo
      dlmon demo --seconds 30 --rate 1000
      dlmon demo --anomaly
      dlmon demo --serve
    """
)
def demo(
    seconds: Annotated[
        float, typer.Option(min=0.1, max=3600, metavar="N", help="How long to produce events.")
    ] = 6.0,
    rate: Annotated[
        float, typer.Option(min=1, max=5000, metavar="N", help="Events a second.")
    ] = 200.0,
    invalid: Annotated[
        float, typer.Option(min=0, max=100, metavar="PERCENT", help="How many of them are broken.")
    ] = 4.0,
    anomaly: Annotated[
        bool,
        typer.Option(
            "--anomaly",
            help="Simulate some weeks too, with slow downloads in a country in its last hour, "
            "and let the report find them.",
        ),
    ] = False,
    serve: Annotated[
        bool, typer.Option("--serve", help="Then show it in a browser, until Ctrl-C.")
    ] = False,
) -> None:
    from contextlib import ExitStack

    from dlmon.brokers import open_broker
    from dlmon.commands import demo as command
    from dlmon.config.paths import data_file
    from dlmon.config.settings import Settings
    from dlmon.console.consume import watch
    from dlmon.console.demo import show_demo
    from dlmon.runtime.logging import configure_logging
    from dlmon.sources.pacing import Pace
    from dlmon.sources.simulation import Simulation
    from dlmon.stores.sqlite import SqliteStore
    from dlmon.validation.schema import load_schema
    from dlmon.validation.validator import Validator

    # None of the user's own settings: what they name may not be set up yet.
    settings = Settings.for_url("local")
    configure_logging(settings.log_level)
    path = data_file("events.db")
    with ExitStack() as opened:
        stop = opened.enter_context(stop_on_signals())
        store = opened.enter_context(SqliteStore(path))
        what = f"{rate:g} simulated events a second, {invalid:g}% broken"
        observer = opened.enter_context(watch(what, str(path), command="demo"))
        result = command.demo(
            lambda stop: open_broker(settings, stop),
            store,
            Simulation(invalid=invalid / 100),
            pace=Pace(rate, seconds),
            validator=Validator(load_schema()),
            stop=stop,
            observer=observer,
        )
    show_demo(result, path)
    _show_speeds(settings.store)
    found = not anomaly or _find_anomaly()
    if result.produced.error is not None:
        raise result.produced.error
    if result.missing or not found:
        raise typer.Exit(ExitCode.INVALID_DATA)
    if serve:
        _serve(settings)


def _serve(settings: Settings) -> None:
    """The page at any free port, with actions: these are events of a demo."""
    from dlmon.cli.serve import serve_page
    from dlmon.web.options import ServeOptions

    serve_page(settings, ServeOptions(port=0, allow_actions=True))


def _show_speeds(store: StoreAddress) -> None:
    """The map and the countries, unless Ctrl-C is pressed first: the store may have many events."""
    from dlmon.analysis.questions import make_question
    from dlmon.analysis.summaries import Summaries
    from dlmon.commands.report import report, summaries_file
    from dlmon.console.demo import show_speeds
    from dlmon.console.progress import counting
    from dlmon.console.report.world_map import map_size
    from dlmon.errors import Interrupted
    from dlmon.stores import open_reader

    question = make_question("24h", None, "country")
    with (
        stop_on_signals("the next report goes on from there") as stop,
        open_reader(store) as reader,
        Summaries(summaries_file(store)) as summaries,
        counting("summarising events") as on_progress,
    ):
        try:
            result = report(
                question, reader, summaries, stop, on_progress=on_progress, map_size=map_size()
            )
        except Interrupted:
            return
    show_speeds(result)


def _find_anomaly() -> bool:
    """Whether the report finds a slowdown that was put into simulated downloads, in a store of
    their own: the user's own reports should not have it."""
    import time

    from dlmon.analysis.hours import hour_of
    from dlmon.analysis.questions import make_question
    from dlmon.analysis.summaries import Summaries
    from dlmon.commands.demo_anomaly import inject_slowdown
    from dlmon.commands.report import report_anomalies, summaries_file
    from dlmon.config.paths import data_file
    from dlmon.config.urls import StoreAddress
    from dlmon.console.demo import show_anomaly
    from dlmon.console.progress import counting
    from dlmon.errors import Interrupted
    from dlmon.stores import open_reader

    path = data_file("demo-anomaly.db")
    store = StoreAddress(f"sqlite:///{path}")
    with stop_on_signals("the simulated downloads can be made again") as stop:
        try:
            injected = inject_slowdown(path, hour_of(time.time_ns() // 1_000_000) - 1, stop)
            with (
                open_reader(store) as reader,
                Summaries(summaries_file(store)) as summaries,
                counting("summarising events") as on_progress,
            ):
                question = make_question("24h", None, "hour")
                result = report_anomalies(question, reader, summaries, stop, on_progress)
        except Interrupted:
            return True
    show_anomaly(injected, result, store.url)
    return injected.is_in(result.anomalies)
