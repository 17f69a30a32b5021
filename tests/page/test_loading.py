"""What a browser loads of the page, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.page.visitor import visiting
from tests.support.web import Served

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

MOST_REQUESTS = 10
MOST_BYTES = 150_000


class Traffic:
    """What a page asks for, and how many bytes come over the network for it."""

    def __init__(self, page: Page) -> None:
        self.addresses: list[str] = []
        self.bytes = 0
        session = page.context.new_cdp_session(page)
        session.on("Network.requestWillBeSent", self._note_request)
        session.on("Network.loadingFinished", self._note_end)
        session.send("Network.enable")

    def _note_request(self, sent: Any) -> None:
        self.addresses.append(sent["request"]["url"])

    def _note_end(self, done: Any) -> None:
        self.bytes += done["encodedDataLength"]


def test_a_first_visit_loads_little_by_few_requests(browser: Browser, downloads: Served) -> None:
    with visiting(browser, downloads) as visitor:
        traffic = Traffic(visitor.page)
        visitor.go("/")
        visitor.sees("#map .sentence", "100 downloads in 2 cells")
        visitor.sees("#sizes", "1 to 10 MB")
        visitor.page.wait_for_selector("body:not(.loading)")
        assert len(traffic.addresses) <= MOST_REQUESTS, traffic.addresses
        assert len(traffic.addresses) == len({*traffic.addresses})
        assert 50_000 < traffic.bytes < MOST_BYTES


def test_a_second_visit_loads_no_file_again(browser: Browser, downloads: Served) -> None:
    with visiting(browser, downloads) as visitor:
        visitor.go("/")
        visitor.sees("#map .sentence", "2 cells")
        traffic = Traffic(visitor.page)
        visitor.page.reload()
        visitor.sees("#map .sentence", "2 cells")
        visitor.page.wait_for_selector("body:not(.loading)")
        assert 0 < traffic.bytes < 10_000


def test_a_file_is_kept_for_ever_by_its_hash_and_asked_for_again_without(
    downloads: Served,
) -> None:
    index = downloads.get("/")
    assert index.headers["Cache-Control"] == "no-cache"
    address = next(part for part in index.text.split('"') if part.startswith("/assets/page.js?"))
    kept = downloads.get(address)
    assert "immutable" in kept.headers["Cache-Control"]
    assert kept.headers["Content-Encoding"] == "gzip"
    assert downloads.get(address + "0").headers["Cache-Control"] == "no-cache"
    same = downloads.get("/assets/page.js", headers={"If-None-Match": kept.headers["ETag"]})
    assert same.status_code == 304
