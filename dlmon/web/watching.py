"""Two threads that follow the store and the broker, and what they know now.

Neither takes anything from anybody: the store is read, and the broker is asked for the depth of its
queues, never for what is in them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from dlmon.analysis.hours import format_hour
from dlmon.analysis.summaries import Summaries
from dlmon.brokers import open_broker
from dlmon.commands import status
from dlmon.commands.report import summaries_file
from dlmon.errors import DlmonError, Interrupted
from dlmon.messages import Queue
from dlmon.runtime.timestamps import to_rfc3339
from dlmon.stores import open_reader
from dlmon.stores.reading import Sample, StoredEvent, StoreReader
from dlmon.web.news import News
from dlmon.web.site import Site

INTERVAL = 1.0
"""Seconds between two looks."""

_RATE_LOOKS = 3  # over which a rate is taken


def now() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


@dataclass(slots=True)
class Health:
    """Whether something answers, since when, and why it does not. Nothing is known at the start."""

    ok: bool | None = None
    since: int = field(default_factory=now)
    reason: str = ""

    def update(self, error: DlmonError | None) -> None:
        ok, reason = error is None, "" if error is None else str(error)
        if ok is not self.ok:
            self.since = now()
        self.ok, self.reason = ok, reason

    def record(self, url: str) -> dict[str, Any]:
        return {
            "url": url,
            "ok": self.ok,
            "since": to_rfc3339(self.since),
            "reason": self.reason or None,
        }


class Watcher:
    """Follows the store into its summaries, and the depths of the queues."""

    def __init__(self, site: Site, changed: Callable[[], None]) -> None:
        """changed: called in either thread when something is new."""
        self._settings = site.settings
        self._stop = site.stop
        self._news = News(site.validator)
        self._changed = changed
        self._store = Health()
        self._broker = Health()
        self._events: int | None = None
        self._span: tuple[int, int] | None = None
        self._bytes_read = 0
        self._looks: list[tuple[float, int, int]] = []  # monotonic, events, bytes
        self._summarising: tuple[int, int] | None = None  # done, of about so many
        self._depths: dict[str, int] | None = None
        self._threads = [
            threading.Thread(target=work, name=name, daemon=True)
            for work, name in ((self._follow_store, "store"), (self._follow_broker, "broker"))
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self, seconds: float) -> None:
        """Wait until those of both threads that started have ended, after a stop request."""
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, deadline - time.monotonic()))

    def state(self) -> dict[str, Any]:
        """What changes while the page is open."""
        return {
            "at": to_rfc3339(now()),
            "rates": self._rates(),
            "stored": {"count": self._events},
            "depth": {str(queue): (self._depths or {}).get(queue) for queue in Queue},
            "broker": self._broker.record(str(self._settings.broker)),
            "store": self.store_record(),
            "summarising": self._progress(),
            "news": self._news.record(),
        }

    def store_record(self) -> dict[str, Any]:
        first, last = self._span or (None, None)
        return {
            **self._store.record(str(self._settings.store)),
            "events": self._events,
            "first": None if first is None else format_hour(first),
            "last": None if last is None else format_hour(last),
        }

    def _progress(self) -> dict[str, Any] | None:
        if self._summarising is None:
            return None
        done, total = self._summarising
        return {"done": done, "total": total}

    def _rates(self) -> dict[str, float | None]:
        looks = self._looks
        if len(looks) < 2 or self._summarising is not None:
            return {"events": None, "bytes": None}
        (began, events, volume), (ended, events_now, volume_now) = looks[0], looks[-1]
        seconds = max(ended - began, 1e-3)
        return {
            "events": round(max(0, events_now - events) / seconds, 1),
            "bytes": round((volume_now - volume) / seconds),
        }

    def _follow_store(self) -> None:
        while not self._stop.requested:
            try:
                with Summaries(summaries_file(self._settings.store)) as summaries:
                    while not summaries.is_gone:
                        self._summarise(summaries)
                        if self._stop.wait(INTERVAL):
                            return
            except Interrupted:
                return
            except DlmonError as error:
                self._store.update(error)
                self._summarising = None
                self._looks = []
                self._changed()
                self._stop.wait(INTERVAL)

    def _summarise(self, summaries: Summaries) -> None:
        """One look at the store. It is opened each time: a file put in its place is noticed."""
        began = time.monotonic()

        def on_progress(done: int, total: int) -> None:
            # Not `done`: what is not committed yet is in no answer.
            self._events = summaries.events
            if time.monotonic() - began > INTERVAL:
                self._summarising = done, total
                self._store.update(None)
                self._changed()

        with open_reader(self._settings.store) as reader:
            summaries.follow(_Counted(reader, self._count), self._stop, on_progress)
        self._summarising = None
        before = (self._events, self._span, self._store.ok, self._rates())
        self._events = summaries.events
        with summaries.snapshot():
            self._span = summaries.span()
        self._store.update(None)
        look = (time.monotonic(), self._events, self._bytes_read)
        self._looks = [*self._looks[-_RATE_LOOKS:], look]
        if before != (self._events, self._span, self._store.ok, self._rates()):
            self._changed()

    def _count(self, samples: list[Sample]) -> None:
        self._bytes_read += sum(sample.file_size for sample in samples)

    def _follow_broker(self) -> None:
        while not self._stop.requested:
            try:
                with open_broker(self._settings, self._stop) as broker, self._news.follow(broker):
                    while not self._stop.requested:
                        depths = status.look(broker).depths
                        self._note_depths(
                            {
                                str(queue): one.ready + (one.held or 0)
                                for queue, one in depths.items()
                            }
                        )
                        if self._news.read():
                            self._changed()
                        self._stop.wait(INTERVAL)
            except Interrupted:
                return
            except DlmonError as error:
                self._broker.update(error)
                self._changed()
                self._stop.wait(INTERVAL)

    def _note_depths(self, depths: dict[str, int]) -> None:
        news = depths != self._depths or not self._broker.ok
        self._depths = depths
        self._broker.update(None)
        if news:
            self._changed()


class _Counted(StoreReader):
    """A reader that shows what it reads to someone else too."""

    def __init__(self, reader: StoreReader, on_samples: Callable[[list[Sample]], None]) -> None:
        self._reader = reader
        self._on_samples = on_samples

    @property
    def identity(self) -> str:
        return self._reader.identity

    def knows(self, cursor: str) -> bool:
        return self._reader.knows(cursor)

    def remaining(self, cursor: str | None) -> int:
        return self._reader.remaining(cursor)

    def newest(self, count: int) -> str | None:
        return self._reader.newest(count)

    def read_after(
        self, cursor: str | None, limit: int, until: str | None = None
    ) -> Iterator[tuple[list[Sample], str]]:
        for samples, place in self._reader.read_after(cursor, limit, until):
            self._on_samples(samples)
            yield samples, place

    def read_between(self, start: int, end: int, limit: int) -> Iterator[list[Sample]]:
        return self._reader.read_between(start, end, limit)

    def read_events(self, start: int, end: int, limit: int) -> Iterator[list[StoredEvent]]:
        return self._reader.read_events(start, end, limit)

    def close(self) -> None:
        self._reader.close()
