"""What a page does that stays open: news, tabs that are hidden, memory, servers that come back."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.page.visitor import DUBLIN, Visitor, events, visiting
from tests.support.events import make_body
from tests.support.rejections import park, rejection, slow
from tests.support.web import Served

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

pytestmark = pytest.mark.browser

HOUR = 3_600
ACCELERATED = 600  # states; a sixth of an hour
MOST_GROWTH = 10_000_000  # bytes of heap in an hour


@pytest.fixture
def visitor(browser: Browser, serving: Callable[..., Served]) -> Iterator[Visitor]:
    """In front of 60 downloads, and no rejects."""
    served = serving()
    served.store(*events(60, DUBLIN, 80.0))
    with visiting(browser, served) as visitor:
        yield visitor
        assert visitor.foreign == []
        assert visitor.complaints == []


def _park(served: Served, *codes: str) -> None:
    made = {"type": slow, "maximum": lambda: rejection(make_body(download_speed=-1))}
    with served.broker() as broker:
        park(broker, [made[code]() for code in codes])


def _hide(page: Page, hidden: bool) -> None:
    """What a page sees when another tab is in front: a browser without windows shows all."""
    page.evaluate(
        "(hidden) => { Object.defineProperty(document, 'hidden', "
        "{ get: () => hidden, configurable: true }); "
        "document.dispatchEvent(new Event('visibilitychange')); }",
        hidden,
    )


def test_rejects_are_announced_and_no_row_moves_under_the_pointer(visitor: Visitor) -> None:
    visitor.go("/")
    visitor.sees("#rejections", "0 new rejects")
    _park(visitor.served, "type")
    row = visitor.page.locator("#rejections .row").first
    visitor.sees("#rejections .row", "/download_speed")
    row.hover()
    before = row.bounding_box()
    _park(visitor.served, "maximum", "maximum")
    visitor.sees("#rejections .news", "Show what is new")
    assert row.bounding_box() == before
    assert visitor.page.locator("#rejections .row").count() == 1
    visitor.page.locator("#rejections .news").click()
    visitor.sees("#rejections .row >> nth=0", "minimum")
    assert visitor.served.json("/api/rejects") is None


def test_rejects_that_come_after_a_look_are_counted_beside_it(visitor: Visitor) -> None:
    visitor.served.wait_for("/api/state", lambda state: state["broker"]["ok"])
    _park(visitor.served, "type")
    visitor.served.wait_for("/api/state", lambda state: state["news"]["rejects"])
    visitor.go("/?view=rejects")
    visitor.button("Look").click()
    visitor.sees("#looked", "1 reject in 1 group")
    _park(visitor.served, "type", "type")
    visitor.sees(".fresh", "2 new rejects since this look")
    visitor.sees(".row.group .trend", "+2")
    visitor.sees("#looked", "1 reject in 1 group")


def test_a_hidden_tab_has_no_stream_and_catches_up(visitor: Visitor) -> None:
    sent: list[str] = []
    visitor.page.on("request", lambda request: sent.append(request.url))
    stream = f"{visitor.served.origin}/api/stream"
    visitor.go("/?range=live")
    visitor.sees("#tile-count .value", "60")
    assert sent.count(stream) == 1
    with visitor.page.expect_event("requestfailed", lambda request: request.url == stream):
        _hide(visitor.page, True)
    visitor.served.store(*events(20, DUBLIN, 80.0))
    visitor.served.wait_for("/api/state", lambda state: state["stored"]["count"] == 80)
    visitor.sees("#tile-count .value", "60")
    _hide(visitor.page, False)
    visitor.sees("#tile-count .value", "80")
    assert sent.count(stream) == 2


def test_what_was_stored_during_an_answer_is_asked_for_without_other_news(
    visitor: Visitor,
) -> None:
    """A state that comes too early for another question may be the last for hours."""
    state = visitor.served.json("/api/state")
    visitor.page.add_init_script(
        "window.EventSource = class extends EventTarget "
        "{ constructor() { super(); window.stream = this; } close() {} }"
    )
    answers: Counter[str] = Counter()

    def number(route: Route) -> None:
        """Count the answers where the page shows it."""
        answer = route.fetch().json()
        answers[answer["by"]] += 1
        answer["total"]["count"] = answers[answer["by"]]
        route.fulfill(json=answer)

    def arrive(stored: int) -> None:
        news = json.dumps({**state, "stored": {"count": stored}})
        visitor.page.evaluate(
            "(data) => window.stream.dispatchEvent(new MessageEvent('state', { data }))", news
        )

    visitor.page.route("**/api/report?*", number)
    visitor.go("/?range=live")
    visitor.sees("#tile-count .value", "1")
    arrive(60)
    visitor.sees("#tile-count .value", "2")
    arrive(80)
    visitor.sees("#tile-count .value", "3")
    visitor.page.unroute_all(behavior="wait")


def test_forced_colours_and_reduced_motion_are_respected(
    browser: Browser, downloads: Served
) -> None:
    with visiting(browser, downloads, forced_colors="active", reduced_motion="reduce") as visitor:
        visitor.go("/")
        visitor.sees("#map .sentence", "2 cells")
        style = "(element, name) => getComputedStyle(element)[name]"
        chosen = visitor.page.locator("#ranges [aria-pressed=true]")
        other = visitor.page.locator("#ranges [aria-pressed=false]").first
        assert chosen.evaluate(style, "outlineStyle") == "solid"
        assert other.evaluate(style, "outlineStyle") == "none"
        # What colours mean stays: that of the dots, and of the legend that names it.
        # Both in one turn, between which nothing is drawn again.
        fast, legend = visitor.page.evaluate(
            "() => [['circle[data-cell=gc7x]', 'fill'], ['.legend .speed-3', 'backgroundColor']]"
            ".map(([at, name]) => getComputedStyle(document.querySelector(at))[name])"
        )
        assert fast == legend != ""
        plot = visitor.page.locator("#sizes .plot")
        plot.evaluate("(element) => element.classList.add('skeleton')")
        assert plot.evaluate(style, "animationName") == "none"


def test_an_hour_of_states_leaves_the_heap_as_it_was(browser: Browser, downloads: Served) -> None:
    state = downloads.json("/api/state")
    waiting: list[str] = []

    def states(start: datetime) -> str:
        """So many, each a second after the one before."""
        return "".join(
            _state({**state, "at": (start + timedelta(seconds=number)).isoformat()}, number)
            for number in range(ACCELERATED)
        )

    def answer(route: Route) -> None:
        body = "retry: 200\n\n" + (waiting.pop() if waiting else "")
        route.fulfill(body=body, content_type="text/event-stream")

    with visiting(browser, downloads) as visitor:
        visitor.page.route("**/api/stream", answer)
        visitor.go("/")
        visitor.sees("#tile-count .value", "100")
        session = visitor.context.new_cdp_session(visitor.page)
        heaps = []
        for hour in (1, 2):
            waiting.append(states(datetime(2026, 3, 1, hour, tzinfo=UTC)))
            visitor.button("Table: As they come").click()
            last = timedelta(hours=hour, seconds=ACCELERATED - 1)
            visitor.sees("#rates .table", f"03-01 0{last}")
            visitor.button("Table: As they come").click()
            session.send("HeapProfiler.collectGarbage")
            heaps.append(session.send("Runtime.getHeapUsage")["usedSize"])
        assert (heaps[1] - heaps[0]) * HOUR / ACCELERATED < MOST_GROWTH


def _state(state: dict[str, Any], number: int) -> str:
    news = {**state, "rates": {"events": number % 50, "bytes": number * 1_000}}
    return f"event: state\ndata: {json.dumps(news)}\n\n"
