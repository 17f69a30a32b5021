"""Publishing to the local broker: a commit is a publisher confirm.

A thread of its own commits. One commit takes all batches that were queued during the one before: an
iterable that yields small batches fast is not slowed down by a commit for each, and what a slow one
yields is committed at once.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from queue import SimpleQueue

from dlmon.brokers.base import Confirmed
from dlmon.brokers.local.database import Database
from dlmon.errors import BrokerUnreachable, PublishRefused
from dlmon.messages import Message
from dlmon.runtime.stop import Stop

_WINDOW = 2_000

_INSERT = """
    INSERT INTO message (queue, message_id, content_type, correlation_id, content_encoding, type,
                         app_id, headers, body)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""


class LocalPublisher:
    """One call of `Broker.publish`."""

    def __init__(
        self, path: Path, queue_name: str, confirmed: Confirmed | None, stop: Stop
    ) -> None:
        self._path = path
        self._queue_name = queue_name
        self._confirmed = confirmed
        self._stop = stop
        self._count = 0
        self._unconfirmed: deque[Message] = deque()
        self._batches: SimpleQueue[Sequence[Message] | None] = SimpleQueue()
        self._commits: SimpleQueue[int | None] = SimpleQueue()  # how many messages each took

    def run(self, batches: Iterable[Sequence[Message]]) -> int:
        """Publish all batches; see `Broker.publish`."""
        # A daemon, and no executor: Python's exit waits for those before a program can close what
        # it publishes with.
        committed: Future[None] = Future()
        thread = threading.Thread(
            target=self._commit_all, args=(committed,), name="publish", daemon=True
        )
        thread.start()
        try:
            self._feed(batches)
        finally:
            self._batches.put(None)
            thread.join()
            while not self._commits.empty():
                self._report(self._commits.get())
        try:
            committed.result()
        except BrokerUnreachable as error:
            raise PublishRefused(str(error), self._unconfirmed) from error
        return self._count

    def _feed(self, batches: Iterable[Sequence[Message]]) -> None:
        """Pass batches to the thread that commits, until it fails."""
        for batch in batches:
            self._unconfirmed.extend(batch)
            self._batches.put(batch)
            while len(self._unconfirmed) > _WINDOW or not self._commits.empty():
                if not self._report(self._commits.get()):
                    return

    def _report(self, committed: int | None) -> bool:
        """Report one commit as confirmed. False when there will be no more."""
        if committed is None:
            return False
        messages = [self._unconfirmed.popleft() for _ in range(committed)]
        self._count += committed
        if self._confirmed is not None:
            self._confirmed(messages)
        return True

    def _commit_all(self, ended: Future[None]) -> None:
        try:
            with closing(Database(self._path)) as database:
                while messages := self._next():
                    rows = [
                        (
                            self._queue_name,
                            message.message_id,
                            message.content_type,
                            message.correlation_id,
                            message.content_encoding,
                            message.type,
                            message.app_id,
                            json.dumps(dict(message.headers)),
                            message.body,
                        )
                        for message in messages
                    ]
                    with database.write(lambda: self._stop.expired) as connection:
                        connection.executemany(_INSERT, rows)
                    self._commits.put(len(messages))
            ended.set_result(None)
        except BaseException as error:  # noqa: BLE001  (raised in the thread that publishes)
            ended.set_exception(error)
        finally:
            self._commits.put(None)

    def _next(self) -> list[Message]:
        """All that waits to be committed; where nothing does, the next batch. Empty at the end."""
        messages: list[Message] = []
        while not messages or not self._batches.empty():
            batch = self._batches.get()
            if batch is None:
                self._batches.put(None)  # for the next call
                break
            messages.extend(batch)
        return messages
