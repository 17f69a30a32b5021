"""The first view, clicked through in Chromium."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dlmon.config.settings import Settings
from dlmon.stores.sqlite import SqliteStore
from tests.page.visitor import DUBLIN, Visitor, events, visiting
from tests.support.web import Served

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser


@pytest.fixture
def visitor(browser: Browser, downloads: Served) -> Iterator[Visitor]:
    """In front of 100 downloads in two countries."""
    with visiting(browser, downloads) as visitor:
        yield visitor
        assert visitor.foreign == []
        assert visitor.complaints == []


def test_the_first_view_shows_everything_without_scrolling(visitor: Visitor) -> None:
    visitor.go("/")
    visitor.sees("#tile-count .value", "100")
    visitor.sees("#map .sentence", "100 downloads in 2 cells")
    visitor.sees("#sizes", "1 to 10 MB")
    visitor.sees("#anomalies", re.compile("compare|comparison"))
    visitor.page.wait_for_selector("#speeds canvas")
    tall, wide = visitor.page.evaluate(
        "[document.documentElement.scrollHeight, document.documentElement.scrollWidth]"
    )
    assert (tall, wide) == (900, 1440)


def test_numbers_are_those_of_the_report(visitor: Visitor) -> None:
    visitor.go("/?range=24h")
    visitor.sees("#tile-count .value", "100")
    total = visitor.served.json("/api/report?since=24h&threshold=25")["total"]
    visitor.sees("#tile-below .value", f"{100 * total['share_below']:.1f}%")
    visitor.sees("#tile-p50 .value", f"{total['p50_mbit']:.3g}")
    visitor.sees("#tile-bytes .value", "500 MB")


def test_a_click_on_a_cell_filters_and_the_address_shows_the_same_to_a_colleague(
    visitor: Visitor,
) -> None:
    visitor.go("/")
    visitor.sees("#map .sentence", "2 cells")
    visitor.page.locator("circle[data-cell=gc7x]").click()
    visitor.sees("#tile-count .value", "60")
    visitor.sees("#filters", "Cell gc7x")
    address = visitor.page.url
    colleague = visitor.open_tab()
    colleague.goto(address)
    colleague.wait_for_selector("#tile-count .value:text-is('60')")
    visitor.page.go_back()
    visitor.sees("#tile-count .value", "100")


def test_a_click_on_a_country_filters_and_its_chip_takes_the_filter_away(
    visitor: Visitor,
) -> None:
    visitor.go("/?shape=countries&colour=below")
    visitor.sees("#map .sentence", "2 countries")
    visitor.page.locator("path#DE").click()
    visitor.sees("#filters", "Germany")
    visitor.sees("#tile-count .value", "40")
    visitor.sees("#tile-below .value", "100.0%")
    visitor.page.locator(".chip").click()
    visitor.sees("#tile-count .value", "100")


def test_every_chart_is_a_table_too_and_numbers_say_which_command_prints_them(
    visitor: Visitor,
) -> None:
    visitor.go("/?shape=countries")
    visitor.sees("#map .sentence", "2 countries")
    visitor.button("Table: Where").click()
    visitor.sees("#map .table", "Ireland")
    visitor.button("Command: Where").click()
    visitor.sees("dialog", "dlmon report --by country --since 24h")
    with visitor.page.expect_download() as download:
        visitor.page.get_by_text("Download as CSV").click()
    rows = [*csv.DictReader(io.StringIO(Path(download.value.path()).read_text()))]
    assert {row["key"]: row["count"] for row in rows} == {"IE": "60", "DE": "40"}


def test_downloads_appear_as_they_come(browser: Browser, serving: Callable[..., Served]) -> None:
    served = serving()
    served.store(*events(60, DUBLIN, 80.0))
    with visiting(browser, served) as visitor:
        visitor.go("/?range=live")
        visitor.sees("#tile-count .value", "60")
        served.store(*events(20, DUBLIN, 80.0))
        visitor.sees("#tile-count .value", "80")


SOON = 200  # ms
_POST = """async () => {
    const began = performance.now();
    await fetch("/api/patch/try", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ group: "none", patch: "." }),
    });
    return performance.now() - began;
}"""


def test_eight_tabs_share_one_stream(visitor: Visitor) -> None:
    asked: list[str] = []
    visitor.context.on("request", lambda request: asked.append(request.url))
    visitor.go("/")
    pages = [visitor.open_tab() for _ in range(7)]
    for page in pages:
        page.goto(visitor.served.origin + "/")
        page.wait_for_selector("#tile-waiting .value:text-is('0')")
    assert sum(url.endswith("/api/stream") for url in asked) == 1
    # A browser has six connections: with eight streams, nothing could be posted.
    took = [pages[0].evaluate(_POST) for _ in range(3)]
    assert min(took) < SOON


def test_the_keyboard_alone_reaches_a_filter(visitor: Visitor) -> None:
    visitor.go("/")
    visitor.sees("#map .sentence", "2 cells")
    press = visitor.page.keyboard.press
    for _ in range(60):
        press("Tab")
        name = visitor.page.evaluate("document.activeElement.getAttribute('aria-label')")
        if name == "Table: Where":
            break
    press("Enter")
    press("Tab")
    press("Tab")
    while visitor.page.evaluate("document.activeElement.className") != "plain":
        press("Tab")
    press("Enter")
    visitor.sees("#filters", "Cell gc7x")


def test_a_server_that_is_gone_is_told_and_the_numbers_stay(
    browser: Browser, tmp_path: Path
) -> None:
    from tests.support.web import served

    with served(tmp_path) as server:
        server.store(*events(60, DUBLIN, 80.0))
        server.wait_for("/api/report", lambda report: report["total"]["count"] == 60)
        context = visiting(browser, server)
        visitor = context.__enter__()
        visitor.go("/")
        visitor.sees("#tile-count .value", "60")
        visitor.page.wait_for_selector("#health .up")
    try:
        visitor.sees("#notice", "dlmon serve has not answered since")
        visitor.sees("#tile-count .value", "60")
    finally:
        context.__exit__(None, None, None)


def test_a_broker_that_is_down_is_named_and_so_is_its_return(
    browser: Browser, serving: Callable[..., Served], tmp_path: Path
) -> None:
    folder = tmp_path / "elsewhere"  # where the broker's file cannot be, at first
    folder.write_text("")
    local = Settings.for_url(f"sqlite:///{folder}/broker.db")
    store = Settings.for_url("local", store=f"sqlite:///{tmp_path}/events.db").store
    served = serving(settings=replace(local, store=store))
    served.store(*events(1, DUBLIN, 80.0))
    with visiting(browser, served) as visitor:
        visitor.go("/")
        visitor.sees("#notice", "The broker has been down since")
        visitor.sees("#health", "Broker down")
        folder.unlink()
        folder.mkdir()
        visitor.sees("#health", "Broker up")
        visitor.page.wait_for_selector("#notice:empty", state="attached")


def test_an_empty_store_says_what_to_type(
    browser: Browser, serving: Callable[..., Served], tmp_path: Path
) -> None:
    SqliteStore(tmp_path / "events.db").close()
    with visiting(browser, serving()) as visitor:
        visitor.go("/")
        visitor.sees("#speeds .plot", "dlmon produce --rate 10")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(
    browser: Browser, downloads: Served, node_modules: Path, scheme: str
) -> None:
    with visiting(browser, downloads, color_scheme=scheme, bypass_csp=True) as visitor:
        for address in ("/", "/?view=rejects"):
            visitor.go(address)
            visitor.page.wait_for_selector("#notice:empty", state="attached")
            if address == "/":
                visitor.sees("#map .sentence", "2 cells")
                visitor.page.wait_for_selector("body:not(.loading)")
            else:
                visitor.sees("#groups", "No rejects. To see some")
            visitor.page.add_script_tag(path=node_modules / "axe-core" / "axe.min.js")
            found = visitor.page.evaluate("axe.run().then((result) => result.violations)")
            assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []


@pytest.mark.parametrize("width", [320, 768])
def test_nothing_is_wider_than_the_window(visitor: Visitor, width: int) -> None:
    visitor.page.set_viewport_size({"width": width, "height": 800})
    for address in ("/", "/?view=rejects"):
        visitor.go(address)
        visitor.page.wait_for_timeout(300)
        assert visitor.page.evaluate("document.documentElement.scrollWidth") == width
