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
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import TypeAlias

from benchmarks.page_server import serving
from benchmarks.page_streams import listen
from benchmarks.summaries import DAY, fill
from dlmon.brokers import open_broker
from dlmon.config.settings import Settings
from dlmon.stores.sqlite import SqliteStore
from tests.support.events import make_body, make_entry
from tests.support.rejections import park, slow

_DAYS = 30
_PATCH = ".download_speed |= tonumber"
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
def _storing(folder: Path) -> Iterator[None]:
    """Store events all the time inside of the block, in a process that costs browsers nothing."""
    process = get_context("spawn").Process(target=_store, args=(folder / "events.db",))
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()


def _store(path: Path) -> None:
    with SqliteStore(path) as events:
        while True:
            began = time.monotonic()
            at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            events.write([make_entry(make_body(timestamp=at)) for _ in range(_BATCH)])
            time.sleep(max(0, began + 1 / _COMMITS - time.monotonic()))


_MEASURES: dict[str, _Measure] = {
    "start": _start,
    "questions": _questions,
    "streams": _streams,
    "chromium": _chromium,
    "dry-run": _dry_run,
}

if __name__ == "__main__":
    main()
