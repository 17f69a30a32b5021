"""Looking at rejects and mending them, clicked through in Chromium."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from dlmon.messages import Queue
from tests.page.visitor import Visitor, visiting
from tests.support.rejections import park, rejection
from tests.support.web import Served, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser

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
