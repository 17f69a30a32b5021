"""A person in front of the page: a browser's window, and what the browser complained of."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.support.web import PATIENCE, Served

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Locator, Page

DUBLIN, BERLIN = (53.35, -6.26), (52.52, 13.4)


def events(count: int, place: tuple[float, float], speed: float) -> Iterator[bytes]:
    """Downloads of the last hour."""
    for number in range(count):
        at = time.gmtime(time.time() - number)
        yield json.dumps(
            {
                "event_id": str(uuid.uuid4()),
                "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", at),
                "coordinates": dict(zip(("latitude", "longitude"), place, strict=True)),
                "file_size": 5_000_000,
                "download_speed": speed,
            }
        ).encode()


@dataclass
class Visitor:
    """context: shared by the tabs of one browser. foreign: addresses of other origins that were
    asked for. complaints: errors, and reports of the content security policy."""

    served: Served
    context: BrowserContext
    page: Page
    foreign: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def log_in(self, served: Served) -> None:
        """Have the cookie of a server."""
        for name, value in served.browser.cookies.items():
            self.context.add_cookies([{"name": name, "value": value, "url": served.origin}])

    def go(self, address: str) -> None:
        """address: from the slash on."""
        self.page.goto(self.served.origin + address)

    def sees(self, selector: str, text: str | re.Pattern[str]) -> None:
        """The text is there within the time that tests have."""
        from playwright.sync_api import expect

        expect(self.page.locator(selector)).to_contain_text(text, timeout=PATIENCE * 1000)

    def button(self, name: str | re.Pattern[str]) -> Locator:
        """The first button with this name."""
        return self.page.get_by_role("button", name=name).first

    def open_tab(self) -> Page:
        page = self.context.new_page()
        self._watch(page)
        return page

    def _watch(self, page: Page) -> None:
        page.set_default_timeout(PATIENCE * 1000)
        page.on("request", self._note_request)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._note_message)

    def _note_request(self, request: Any) -> None:
        if not request.url.startswith(self.served.origin):
            self.foreign.append(request.url)

    def _note_message(self, message: Any) -> None:
        # That a server is down is told there, too, and is no fault of the page.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.complaints.append(message.text)


@contextmanager
def visiting(browser: Browser, served: Served, **options: Any) -> Iterator[Visitor]:
    """A visitor who is logged in. options: of the browser's context."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, **options)
    page = context.new_page()
    visitor = Visitor(served, context, page)
    visitor.log_in(served)
    visitor._watch(page)
    try:
        yield visitor
    finally:
        context.close()
