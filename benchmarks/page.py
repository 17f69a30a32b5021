"""`python -m benchmarks.page [--events N] [--browsers N] [--seconds N] [--only WHAT ...]`:
what `dlmon serve` takes, on stdout.

Fills a SQLite store with downloads of the last 30 days by SQL, and serves it with the command,
beside a local broker.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import TypeAlias

from benchmarks.page_server import serving
from benchmarks.page_streams import listen
from benchmarks.rounds import DLMON_RATE, ROOT
from benchmarks.summaries import DAY, fill
from dlmon.analysis.summaries import NEWEST
from dlmon.brokers import open_broker
from dlmon.config.settings import Settings
from dlmon.messages import Message, Queue
from dlmon.sources.simulation import Simulation
from dlmon.stores.sqlite import SqliteStore
from tests.support.events import make_body, make_entry
from tests.support.rejections import park, slow

_DAYS = 30
_PATCH = ".download_speed |= tonumber"
_ROUNDS = 5
_COMMITS, _BATCH = 20, 180  # a second, and events in each: 3,600 events a second
_QUESTIONS = ("by=hour", "by=cell", "by=country", "by=size")

_LONG = 100  # milliseconds
_LONG_TASKS = """
    globalThis.longTasks = [];
    new PerformanceObserver(list => longTasks.push(...list.getEntries().map(one => one.duration)))
        .observe({ type: "longtask" });"""

_Measure: TypeAlias = Callable[[Path, argparse.Namespace], Iterator[str]]


def main() -> None:
    """Print a line for each figure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--browsers", type=int, default=1_000)
    parser.add_argument("--rejects", type=int, default=10_000)
    parser.add_argument("--consumed", type=int, default=50_000, help="events, beside the page")
    parser.add_argument("--seconds", type=float, default=20, help="that browsers listen")
    parser.add_argument("--only", nargs="+", choices=_MEASURES, default=[*_MEASURES])
    arguments = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory(prefix="dlmon-page-") as name:
        folder = Path(name)
        start = time.time_ns() // 1000 - _DAYS * DAY
        # In another process: a child begins with what its parent has in memory.
        filling = get_context("spawn").Process(
            target=fill, args=(folder / "events.db", arguments.events, _DAYS, start)
        )
        filling.start()
        filling.join()
        for only in arguments.only:
            for line in _MEASURES[only](folder, arguments):
                print(f"{only}: {line}", flush=True)


def _start(folder: Path, arguments: argparse.Namespace) -> Iterator[str]:
    """From the start of the command to its first answer, and to the summaries of all events."""
    for file in folder.glob("events.summaries.db*"):
        file.unlink()
    began = time.perf_counter()
    with serving(folder) as server:
        yield f"answers after {time.perf_counter() - began:.2f} s"
        newest = min(NEWEST, arguments.events)
        server.wait_until_summarised(newest, all_of_them=False)
        seconds = time.perf_counter() - began
        yield f"the newest {newest:,} events summarised after {seconds:.2f} s"
        server.wait_until_summarised(arguments.events)
        seconds = time.perf_counter() - began
        yield (
            f"{arguments.events:,} events summarised after {seconds:.1f} s, in at most "
            f"{server.peak() / 1e6:.0f} MB"
        )


def _questions(folder: Path, arguments: argparse.Namespace) -> Iterator[str]:
    """What the first view asks for, of a day and of all days."""
    with serving(folder) as server:
        server.wait_until_summarised(arguments.events)
        for since in ("24h", "30d"):
            for question in _QUESTIONS:
                times = []
                for _ in range(3):
                    began = time.perf_counter()
                    server.get(f"/api/report?since={since}&threshold=25&{question}")
                    times.append(time.perf_counter() - began)
                yield f"{question} of {since}: {min(times):.3f} s, at first {times[0]:.3f} s"


def _streams(folder: Path, arguments: argparse.Namespace) -> Iterator[str]:
    """Many browsers while events are stored."""
    with serving(folder) as server:
        server.wait_until_summarised(arguments.events)
        with _storing(folder):
            heard = asyncio.run(listen(server, arguments.browsers, arguments.seconds))
    yield (
        f"{arguments.browsers:,} browsers, one of which does not read, and {len(heard.delays):,} "
        f"states: p50 {1000 * heard.quantile(0.5):.0f} ms, "
        f"p99 {1000 * heard.quantile(0.99):.0f} ms, "
        f"{100 * heard.cpu / heard.seconds:.0f}% of a core, {heard.memory / 1e6:.0f} MB"
    )
    yield f"one more is answered {heard.refusal}"


def _visible(folder: Path, arguments: argparse.Namespace) -> Iterator[str]:
    """From the commit of an event to the first state that counts it."""
    with serving(folder) as server:
        server.wait_until_summarised(arguments.events)
        log = folder / "commits"
        with _storing(folder, log):
            states = [
                (at, state["stored"]["count"] or 0)
                for at, state in server.states(arguments.seconds)
            ]
    before = states[0][1]
    delays = []
    for line in log.read_text().splitlines():
        committed, count = map(float, line.split())
        seen = [at for at, known in states if known >= count]
        if count > before and seen:
            delays.append(seen[0] - committed)
    late = statistics.quantiles(delays, n=100)
    yield (
        f"{len(delays):,} commits of {_BATCH} events, {_COMMITS} a second, are on the page after "
        f"{late[49]:.2f} s (p50), {late[98]:.2f} s (p99)"
    )


def _beside(folder: Path, arguments: argparse.Namespace) -> Iterator[str]:
    """A consumer with and without a page that a browser looks at, in turns."""
    with_page, alone = [], []
    for _ in range(_ROUNDS):
        alone.append(_consumed(folder, arguments.consumed))
        with serving(folder) as server:
            server.wait_until_summarised(arguments.events)
            looking = threading.Thread(
                target=lambda server=server: [*server.states(2)], daemon=True
            )
            looking.start()
            with_page.append(_consumed(folder, arguments.consumed))
            looking.join()
    ratios = [one / other for one, other in zip(with_page, alone, strict=True)]
    yield (
        f"consume takes {statistics.median(alone):,.0f} events/s, beside a page "
        f"{statistics.median(with_page):,.0f}: {statistics.median(ratios):.2f} of it "
        f"({min(ratios):.2f} to {max(ratios):.2f})"
    )


def _consumed(folder: Path, count: int) -> float:
    """Events a second that `consume` says it took from the local broker."""
    url = f"sqlite:///{folder}/broker.db"
    messages = [Message(one.body, one.message_id) for one in Simulation().take(count)]
    with open_broker(Settings.for_url(url)) as broker:
        broker.publish(Queue.ARRIVALS, [messages])
    command = ("consume", "--until-empty", "--broker", url)
    done = subprocess.run(
        [sys.executable, "-m", "dlmon", *command, "--store", f"sqlite:///{folder}/events.db"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(DLMON_RATE.findall(done.stderr)[-1].replace(",", ""))


def _chromium(folder: Path, arguments: argparse.Namespace) -> Iterator[str]:
    """Numbers on the screen, and tasks that block it while events are stored."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        yield "not measured: no Chromium"
        return
    # Chromium's own sandbox refuses root.
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with serving(folder) as server, sync_playwright() as playwright:
        server.wait_until_summarised(arguments.events)
        browser = playwright.chromium.launch(executable_path=chromium, args=options)
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        name, _, value = server.cookie.partition("=")
        context.add_cookies([{"name": name, "value": value, "url": server.origin}])
        page = context.new_page()
        page.add_init_script(_LONG_TASKS)
        for visit in ("first", "second", "third"):
            began = time.perf_counter()
            page.goto(f"{server.origin}/")
            page.wait_for_selector("body:not(.loading)")
            yield f"{visit} visit: all numbers after {time.perf_counter() - began:.2f} s"
        page.evaluate("longTasks.length = 0")
        with _storing(folder):
            page.wait_for_timeout(1000 * arguments.seconds)
        tasks = page.evaluate("longTasks")
        yield f"tasks over {_LONG} ms while events are stored: {sum(t > _LONG for t in tasks)}"
        browser.close()


def _dry_run(folder: Path, arguments: argparse.Namespace) -> Iterator[str]:
    """A patch on many rejects, with the first differences."""
    with serving(folder) as server:
        with open_broker(Settings.for_url(f"sqlite:///{folder}/broker.db")) as broker:
            park(broker, (slow() for _ in range(arguments.rejects)))
        (group,) = server.post("/api/rejects/look", {"filters": {}})["groups"]
        began = time.perf_counter()
        found = server.post("/api/patch/dry-run", {"group": group["id"], "patch": _PATCH})
        seconds = time.perf_counter() - began
    yield f"{found['total']:,} rejects with {len(found['diffs'])} differences: {seconds:.2f} s"


@contextmanager
def _storing(folder: Path, log: Path | None = None) -> Iterator[None]:
    """Store events all the time inside of the block, in a process that costs browsers nothing.

    log: gets a line for each commit: when it was, and how many events the store has.
    """
    process = get_context("spawn").Process(target=_store, args=(folder / "events.db", log))
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()


def _store(path: Path, log: Path | None) -> None:
    with closing(sqlite3.connect(path)) as connection:
        [(count,)] = connection.execute("SELECT count(*) FROM stored_events")
    with SqliteStore(path) as events, (log or Path(os.devnull)).open("w", buffering=1) as commits:
        while True:
            began = time.monotonic()
            at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            events.write([make_entry(make_body(timestamp=at)) for _ in range(_BATCH)])
            count += _BATCH
            commits.write(f"{time.time()} {count}\n")
            time.sleep(max(0, began + 1 / _COMMITS - time.monotonic()))


_MEASURES: dict[str, _Measure] = {
    "start": _start,
    "questions": _questions,
    "streams": _streams,
    "visible": _visible,
    "beside": _beside,
    "chromium": _chromium,
    "dry-run": _dry_run,
}

if __name__ == "__main__":
    main()
