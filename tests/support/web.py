"""`dlmon serve` in a thread, and a client that sends what a browser sends."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import httpx

from dlmon.brokers import open_broker
from dlmon.brokers.base import Broker
from dlmon.config.settings import Settings
from dlmon.runtime.stop import Stop
from dlmon.stores.sqlite import SqliteStore
from dlmon.validation.schema import load_schema
from dlmon.validation.validator import Validator
from dlmon.web.options import ServeOptions
from dlmon.web.server import serve
from tests.support.events import make_entry

PATIENCE = 20.0  # seconds; a busy machine is slow


@dataclass
class Served:
    """A server: where it is, what it printed, and a browser with its cookie."""

    settings: Settings
    printed: SimpleQueue[str]
    address: str
    browser: httpx.Client

    @property
    def origin(self) -> str:
        return self.address.partition("/?")[0]

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.browser.get(path, **options)

    def post(self, path: str, body: object = None, **headers: str) -> httpx.Response:
        """As the page's own script posts. headers: others by name, with _ for -."""
        own = {
            "Origin": self.origin,
            "Sec-Fetch-Site": "same-origin",
            "Content-Type": "application/json",
        }
        changed = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {name: value for name, value in {**own, **changed}.items() if value}
        return self.browser.post(path, content=json.dumps(body or {}), headers=sent)

    def json(self, path: str, **options: Any) -> Any:
        answer = self.get(path, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def store(self, *bodies: bytes) -> None:
        with SqliteStore(self.settings.store.path) as store:
            store.write([make_entry(body) for body in bodies])

    @contextmanager
    def broker(self) -> Iterator[Broker]:
        with open_broker(self.settings) as broker:
            yield broker

    def wait_for(self, path: str, holds: Callable[[Any], bool]) -> Any:
        """What a path answers, once it is as expected."""
        return wait_until(lambda: self.json(path), holds)


def wait_until(look: Callable[[], Any], holds: Callable[[Any], bool]) -> Any:
    """What `look` returns, once it is as expected."""
    deadline = time.monotonic() + PATIENCE
    while not holds(found := look()):
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found


@contextmanager
def served(
    folder: Path, *, settings: Settings | None = None, login: bool = True, **options: Any
) -> Iterator[Served]:
    """A server inside of the block. settings: by default, a local broker and a store in `folder`.
    login: by the printed token. options: of `ServeOptions`."""
    settings = settings or replace(
        Settings.for_url(f"sqlite:///{folder}/broker.db"),
        store=Settings.for_url("local", store=f"sqlite:///{folder}/events.db").store,
    )
    printed: SimpleQueue[str] = SimpleQueue()
    stop = Stop()
    given = ServeOptions(port=0, **options)
    thread = threading.Thread(
        target=serve,
        args=(settings, given, Validator(load_schema()), stop, printed.put),
        name="served",
    )
    thread.start()
    try:
        address = printed.get(timeout=PATIENCE)
        origin = address.partition("/?")[0]
        verify = given.certificate is None
        with httpx.Client(base_url=origin, timeout=PATIENCE, verify=verify) as browser:
            if login and "token=" in address:
                assert browser.get(address).status_code == 303
            yield Served(settings, printed, address, browser)
    finally:
        stop.request()
        thread.join(PATIENCE)
        assert not thread.is_alive()
