"""Looking at rejects and mending them, clicked through in Chromium."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from queue import SimpleQueue
from subprocess import Popen
from typing import TYPE_CHECKING

import httpx
import pytest

from dlmon.brokers import open_broker
from dlmon.config.settings import Settings
from dlmon.messages import Queue
from tests.page.visitor import Visitor, visiting
from tests.support.dlmon import Dlmon, running
from tests.support.rejections import ids, park, rejection
from tests.support.web import PATIENCE, Served, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Route

pytestmark = pytest.mark.browser

REJECTS = 14
PATCH = ".download_speed |= tonumber"


def _event(number: int) -> bytes:
    """An event whose speed is a text, and which tries to be markup."""
    return json.dumps(
        {
            "event_id": str(uuid.UUID(int=number + 1)),
            "timestamp": "2026-03-01T12:00:00Z",
            "coordinates": {"latitude": 53.35, "longitude": -6.26},
            "file_size": 5_000_000,
            "download_speed": "87.2",
            "note": "<img src=x onerror=alert(1)>",
        }
    ).encode()


@pytest.fixture
def rejected(serving: Callable[..., Served]) -> Callable[..., Served]:
    """Starts a server over `REJECTS` rejects."""

    def start(**options: bool) -> Served:
        served = serving(**options)
        with served.broker() as broker:
            park(broker, (rejection(_event(number)) for number in range(REJECTS)))
        return served

    return start


@pytest.fixture
def visitor(browser: Browser, rejected: Callable[..., Served]) -> Iterator[Visitor]:
    """In front of the rejects, and allowed to act."""
    with visiting(browser, rejected(allow_actions=True)) as visitor:
        visitor.go("/?view=rejects")
        yield visitor
        assert visitor.foreign == []
        assert visitor.complaints == []


def _open_the_group(visitor: Visitor) -> None:
    visitor.button("Look").click()
    visitor.page.locator(".row.group").click()
    visitor.sees("#group", "/download_speed")


def _dry_run(visitor: Visitor) -> None:
    _open_the_group(visitor)
    visitor.page.fill("#patch", PATCH)
    visitor.sees(".verdict", "Valid after the patch")
    visitor.button(re.compile("Dry run")).click()
    visitor.sees(".outcome", f"{REJECTS} would be valid")


def _depth(served: Served) -> int:
    with served.broker() as broker:
        return broker.depth(Queue.REJECTS).ready


def test_nothing_is_looked_at_before_somebody_asks(visitor: Visitor) -> None:
    visitor.sees("#looked", "Not looked at yet")
    assert visitor.served.json("/api/rejects") is None


def test_a_reject_has_its_wrong_place_marked_and_its_text_stays_text(visitor: Visitor) -> None:
    _open_the_group(visitor)
    visitor.sees("#looked", f"{REJECTS} rejects in 1 group")
    visitor.sees("#group mark", '"87.2"')
    visitor.sees("#group .violations", "type")
    visitor.sees("#group .body", "<img src=x onerror=alert(1)>")
    assert visitor.page.locator("#group img").count() == 0


def test_a_filter_narrows_a_look_and_stays_in_the_address(visitor: Visitor) -> None:
    visitor.page.fill("#filter-contains", str(uuid.UUID(int=3)))
    visitor.button("Look").click()
    visitor.sees("#looked", "1 reject in 1 group")
    assert "contains=00000000" in visitor.page.url


def test_a_filter_can_be_typed_before_the_server_has_answered(visitor: Visitor) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    visitor.page.route("**/api/rejects", hold)
    with visitor.page.expect_request("**/api/rejects"):
        visitor.go("/?view=rejects")
    visitor.page.fill("#filter-contains", str(uuid.UUID(int=3)))
    with visitor.page.expect_response("**/api/rejects"):
        held[0].continue_()
    visitor.button("Look").click()
    visitor.sees("#looked", "1 reject in 1 group")


def test_a_patch_shows_its_result_as_one_types(visitor: Visitor) -> None:
    _open_the_group(visitor)
    visitor.page.fill("#patch", ".download_speed = -1")
    visitor.sees(".verdict", "Still invalid")
    visitor.page.fill("#patch", ".download_speed |= (")
    visitor.sees(".verdict.bad", re.compile("jq|syntax|patch"))
    visitor.page.fill("#patch", PATCH)
    visitor.sees(".verdict.good", "Valid after the patch")
    visitor.sees("#mend ins", '"download_speed": 87.2')


def test_a_replay_goes_one_then_ten_then_the_rest_and_survives_a_reload(
    visitor: Visitor,
) -> None:
    _dry_run(visitor)
    visitor.button(f"Replay {REJECTS}…").click()
    visitor.page.locator("dialog").get_by_role("button", name="Replay").click()
    visitor.sees(".job", f"1 of {REJECTS} rejects, waits for you")
    assert wait_until(lambda: _depth(visitor.served), lambda depth: depth == REJECTS - 1)
    visitor.page.reload()
    visitor.sees(".job", f"1 of {REJECTS} rejects, waits for you")
    visitor.button("Go on").click()
    visitor.sees(".job", f"11 of {REJECTS} rejects, waits for you")
    visitor.button("Go on").click()
    visitor.sees(".job", f"{REJECTS} of {REJECTS} rejects, done")
    visitor.sees(".job .receipt", "user")
    assert _depth(visitor.served) == 0


def test_a_cancelled_replay_leaves_the_others(visitor: Visitor) -> None:
    _dry_run(visitor)
    visitor.button(f"Replay {REJECTS}…").click()
    visitor.page.locator("dialog").get_by_role("button", name="Replay").click()
    visitor.sees(".job", "waits for you")
    visitor.page.locator(".job").get_by_role("button", name="Cancel").click()
    visitor.sees(".job", "cancelled; the others stay in rejects")
    assert _depth(visitor.served) == REJECTS - 1


def test_the_keyboard_alone_mends_a_group(visitor: Visitor) -> None:
    press = visitor.page.keyboard.press
    _tab_to(visitor, "Look")
    press("Enter")
    visitor.sees("#groups .row", "/download_speed")
    _tab_to(visitor, re.compile("^type"))
    press("Enter")
    visitor.sees("#group", "/download_speed")
    _tab_to(visitor, re.compile("^Patch"))
    visitor.page.keyboard.type(PATCH)
    visitor.sees(".verdict", "Valid after the patch")
    _tab_to(visitor, re.compile("^Dry run"))
    press("Enter")
    visitor.sees(".outcome", f"{REJECTS} would be valid")
    _tab_to(visitor, "How fast")
    press("ArrowDown")
    _tab_to(visitor, f"Replay {REJECTS}…")
    press("Enter")
    visitor.sees("dialog", "At most 10 a second")
    _tab_to(visitor, "Replay")
    press("Enter")
    visitor.sees(".job", f"{REJECTS} of {REJECTS} rejects, done")


def _tab_to(visitor: Visitor, name: str | re.Pattern[str]) -> None:
    """Press Tab until what has this name has the focus."""
    for _ in range(40):
        visitor.page.keyboard.press("Tab")
        focused = visitor.page.evaluate(_NAME_IN_FOCUS)
        if focused == name if isinstance(name, str) else name.search(focused):
            return
    raise AssertionError(f"no Tab leads to {name}")


_NAME_IN_FOCUS = """() => {
    const focused = document.activeElement;
    const label = focused.labels?.[0]?.textContent ?? focused.textContent;
    return focused.getAttribute("aria-label") ?? label.trim();
}"""


@pytest.mark.slow
def test_a_server_that_is_killed_in_a_replay_loses_nothing_and_the_page_says_so(
    browser: Browser, tmp_path: Path
) -> None:
    settings = Settings.for_url(f"sqlite:///{tmp_path}/broker.db")
    rejects = [rejection(_event(number)) for number in range(300)]
    dlmon = Dlmon(settings, tmp_path, DLMON_STORE=f"sqlite:///{tmp_path}/events.db")
    command = ["serve", "--allow-actions", "--port"]
    with ExitStack() as stack:
        broker = stack.enter_context(open_broker(settings))
        park(broker, rejects)
        process, served = stack.enter_context(_process(dlmon, settings, *command, "0"))
        visitor = stack.enter_context(visiting(browser, served))
        visitor.go("/?view=rejects")
        _open_the_group(visitor)
        visitor.page.fill("#patch", PATCH)
        visitor.button(re.compile("Dry run")).click()
        visitor.sees(".outcome", "300 would be valid")
        visitor.page.select_option("#pace", "100")
        visitor.button("Replay 300…").click()
        visitor.page.locator("dialog").get_by_role("button", name="Replay").click()
        visitor.sees(".job", re.compile("[1-9][0-9]* of 300 rejects, running"))
        process.kill()
        visitor.sees("#notice", "dlmon serve has not answered since")
        port = served.origin.rpartition(":")[2]
        _, again = stack.enter_context(_process(dlmon, settings, *command, port))
        visitor.sees("#notice", "Look where dlmon serve runs: it has printed a new address")
        visitor.log_in(again)
        visitor.sees(".job", "when dlmon serve ended; the others stay in rejects")
        wait_until(lambda: broker.depth(Queue.REJECTS).held, lambda held: not held)
        replayed = ids(broker, Queue.ARRIVALS)
        assert 0 < len(replayed) < len(rejects)
        assert {*ids(broker, Queue.REJECTS), *replayed} == {one.message_id for one in rejects}


@contextmanager
def _process(
    dlmon: Dlmon, settings: Settings, *arguments: str
) -> Iterator[tuple[Popen[str], Served]]:
    """`dlmon serve` as a process, which is killed at the end."""
    with running(dlmon.start(*arguments)) as process:
        assert process.stderr is not None
        address = process.stderr.readline().removeprefix("Open ").strip()
        with httpx.Client(base_url=address.partition("/?")[0], timeout=PATIENCE) as client:
            assert client.get(address).status_code == 303
            yield process, Served(settings, SimpleQueue(), address, client)
        process.kill()


def test_discarded_rejects_can_be_downloaded(visitor: Visitor) -> None:
    _dry_run(visitor)
    visitor.button("Discard…").click()
    visitor.button("Export and discard").click()
    visitor.sees(".job", f"{REJECTS} of {REJECTS} rejects, done")
    with visitor.page.expect_download() as download:
        visitor.page.locator(".receipt a").click()
    assert download.value.path().stat().st_size > 0
    assert _depth(visitor.served) == 0


def test_a_page_that_only_looks_says_how_to_act(
    browser: Browser, rejected: Callable[..., Served]
) -> None:
    with visiting(browser, rejected()) as visitor:
        visitor.go("/?view=rejects")
        _open_the_group(visitor)
        visitor.sees("#mend .actions", "dlmon serve --allow-actions")
        assert visitor.page.get_by_role("button", name="Replay").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_while_a_group_is_mended(
    browser: Browser, rejected: Callable[..., Served], node_modules: Path, scheme: str
) -> None:
    served = rejected(allow_actions=True)
    with visiting(browser, served, color_scheme=scheme, bypass_csp=True) as visitor:
        visitor.go("/?view=rejects")
        _dry_run(visitor)
        visitor.page.add_script_tag(path=node_modules / "axe-core" / "axe.min.js")
        found = visitor.page.evaluate("axe.run().then((result) => result.violations)")
        assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []
