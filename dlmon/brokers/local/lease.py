"""Who holds which messages of the local broker, and for how long.

A consumer or a reader is a holder: one row that a thread renews every tenth of the lease, so that
renewing costs the same however much is held. A holder that was not renewed in time has ended, by a
SIGKILL or a suspended machine, and the next one that uses the queue gives back what it held.
Process ids would not do: two containers that share the file each have their own.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
import time
from collections.abc import Iterable
from contextlib import ExitStack, closing
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from dlmon.brokers.base import DELIVERY_LIMIT, Depth
from dlmon.brokers.local.database import Database, GiveUp, patience
from dlmon.config.names import Names
from dlmon.errors import BrokerUnreachable, Interrupted
from dlmon.messages import DeadLetter, Delivery, Queue

LEASE = 10.0
"""Seconds after which a holder that does not renew has ended."""

_CLOSE_TIMEOUT = 2.0

_READY = "SELECT 1 FROM message WHERE queue = :queue AND holder IS NULL LIMIT 1"
COLUMNS = """
    id, body, message_id, headers, content_type, correlation_id, delivery_count,
    content_encoding, type, app_id, dead_queue, dead_count, dead_at"""
"""What a delivery is made of."""

_FIRST = f"""
    SELECT {COLUMNS}
    FROM message WHERE queue = :queue AND holder IS NULL ORDER BY id LIMIT :limit"""  # noqa: S608  (a constant)
_HOLD = """
    UPDATE message SET holder = :holder
    WHERE queue = :queue AND holder IS NULL AND id <= :last"""
_RENEW = "UPDATE holder SET renewed_at = :now WHERE id = :holder"
_SETTLE = "DELETE FROM message WHERE id = ? AND holder = ?"
_DEAD_LETTER = """
    UPDATE message
    SET queue = :rejects, holder = NULL, delivery_count = 0,
        dead_queue = queue, dead_count = delivery_count + 1, dead_at = :milliseconds
    WHERE holder = :holder AND delivery_count >= :limit"""
_GIVE_BACK = """
    UPDATE message SET holder = NULL, delivery_count = delivery_count + :counts
    WHERE holder = :holder"""

_HOLDERS = "SELECT id, counts, renewed_at, seconds FROM holder WHERE queue = :queue"
# One statement sees one moment: a message that is taken or given back meanwhile is counted once.
_DEPTH = """
    SELECT NULL, NULL, count(*) FROM message WHERE queue = :queue AND holder IS NULL
    UNION ALL
    SELECT renewed_at, seconds, (SELECT count(*) FROM message WHERE message.holder = holder.id)
    FROM holder WHERE queue = :queue"""

_log = logging.getLogger(__name__)


def has_ended(renewed_at: float, seconds: float) -> bool:
    """Whether a lease of so many seconds is over; `renewed_at` in seconds since the epoch.

    Other processes compare the time too, so that it has to be the wall clock's, and that one can
    jump. A time too far ahead ends a lease like one too far back: however the clock jumps, no
    killed holder keeps its messages for longer than twice `seconds`. The price is that a jump can
    end the lease of a living holder before it renews: its messages are delivered twice, and what it
    acknowledges then is stale.
    """
    return abs(time.time() - renewed_at) > seconds


def depth(database: Database, queue_name: str, give_up: GiveUp) -> Depth:
    """How many messages a queue has; those whose holder has ended count as ready."""
    ready = held = 0
    for renewed_at, seconds, count in database.read(_DEPTH, {"queue": queue_name}, give_up=give_up):
        if renewed_at is None or has_ended(renewed_at, seconds):
            ready += count
        else:
            held += count
    return Depth(ready, held)


class LeaseLost(BrokerUnreachable):
    """The lease ended, because the process was suspended, say: what it held was given back."""


class LocalToken(NamedTuple):
    """A delivery of the local broker. Neither number is ever used again."""

    holder: int
    message: int


class Lease:
    """What one consumer or reader holds of a queue, until `close` gives it back."""

    def __init__(
        self,
        path: Path,
        names: Names,
        queue: Queue,
        *,
        counts: bool,
        seconds: float,
        give_up: GiveUp,
    ) -> None:
        """counts: whether a message that is given back has been delivered once more.

        Raises: BrokerUnreachable. Interrupted when it gave up waiting for another process.
        """
        self._names = names
        self._queue = queue
        self._counts = counts
        self._seconds = seconds
        self._closing = threading.Event()
        with ExitStack() as opened:
            self._database = opened.enter_context(closing(Database(path)))
            renewing = opened.enter_context(closing(Database(path)))
            self.start(give_up)
            opened.pop_all()
        self._renewing = threading.Thread(
            target=self._renew, args=(renewing,), name="lease", daemon=True
        )
        self._renewing.start()

    def start(self, give_up: GiveUp) -> None:
        """Hold nothing yet; also again, after the lease was lost.

        Raises: BrokerUnreachable. Interrupted when it gave up waiting for another process.
        """
        with self._database.write(give_up, durable=False) as connection:
            self._end_others(connection)
            connection.execute(
                "INSERT INTO holder (queue, counts, seconds, renewed_at) VALUES (?, ?, ?, ?)",
                (self._names.queue(self._queue), self._counts, self._seconds, time.time()),
            )
            self._holder: int = connection.execute("SELECT last_insert_rowid()").fetchone()[0]

    def version(self, give_up: GiveUp) -> int:
        """A number that changes with every change that other connections make.

        Raises: BrokerUnreachable. Interrupted when it gave up waiting for another process.
        """
        return self._database.version(give_up)

    def take(self, limit: int, give_up: GiveUp) -> list[Delivery]:
        """Hold up to `limit` messages that are not held, the oldest first.

        Raises: LeaseLost, BrokerUnreachable. Interrupted when it gave up waiting for another
        process.
        """
        here = {"queue": self._names.queue(self._queue), "holder": self._holder, "limit": limit}
        # Reading takes no lock: polling an idle queue keeps no other process from writing.
        if limit <= 0 or not self._database.read(_READY, here, give_up=give_up):
            return []
        with self._database.write(give_up, durable=False) as connection:
            self._assure(connection)
            rows = connection.execute(_FIRST, here).fetchall()
            if rows:
                connection.execute(_HOLD, {**here, "last": rows[-1][0]})
        return [self._delivery(row) for row in rows]

    def settle(self, deliveries: Iterable[Delivery], give_up: GiveUp) -> list[LocalToken]:
        """Remove deliveries for good, all but those of another lease; returns which.

        Raises: LeaseLost, BrokerUnreachable. Interrupted when it gave up waiting for another
        process.
        """
        tokens = (delivery.token for delivery in deliveries)
        own = [t for t in tokens if isinstance(t, LocalToken) and t.holder == self._holder]
        if own:
            with self._database.write(give_up) as connection:
                self._assure(connection)
                connection.executemany(_SETTLE, ((t.message, t.holder) for t in own))
        return own

    def close(self) -> None:
        """Give back what is still held. Where that cannot be done now, the lease ends by itself."""
        self._closing.set()
        self._renewing.join()
        try:
            with self._database.write(patience(_CLOSE_TIMEOUT), durable=False) as connection:
                self._end(connection, self._holder, self._counts)
        except (BrokerUnreachable, Interrupted) as error:
            _log.warning(
                "What was not acknowledged is given back in %g s: %s", self._seconds, error
            )
        finally:
            self._database.close()

    def _renew(self, database: Database) -> None:
        with closing(database):
            while not self._closing.wait(self._seconds / 10):
                try:
                    with database.write(self._closing.is_set, durable=False) as connection:
                        connection.execute(_RENEW, {"holder": self._holder, "now": time.time()})
                        self._end_others(connection)
                except (BrokerUnreachable, Interrupted) as error:
                    # The next call that uses the lease fails in the same way, and raises it.
                    _log.debug("A lease was not renewed: %s", error)

    def _assure(self, connection: sqlite3.Connection) -> None:
        """Renew the lease, which holds until the transaction ends, or raise LeaseLost."""
        renewed = connection.execute(_RENEW, {"holder": self._holder, "now": time.time()})
        if not renewed.rowcount:
            raise LeaseLost(
                f"What was held was given back: this process did not run for {self._seconds:g} s, "
                "or the clock was set. Try again."
            )

    def _end_others(self, connection: sqlite3.Connection) -> None:
        """Give back what holders of this queue had whose leases have ended."""
        holders = connection.execute(_HOLDERS, {"queue": self._names.queue(self._queue)}).fetchall()
        for holder, counts, renewed_at, seconds in holders:
            if has_ended(renewed_at, seconds):
                self._end(connection, holder, counts)

    def _end(self, connection: sqlite3.Connection, holder: int, counts: bool) -> None:
        values = {
            "holder": holder,
            "counts": counts,
            "limit": DELIVERY_LIMIT,
            "rejects": self._names.queue(Queue.REJECTS),
            "milliseconds": time.time_ns() // 1_000_000,
        }
        if counts:
            connection.execute(_DEAD_LETTER, values)
        connection.execute(_GIVE_BACK, values)
        connection.execute("DELETE FROM holder WHERE id = :holder", values)

    def _delivery(self, row: tuple[Any, ...]) -> Delivery:
        return to_delivery(row, self._names, self._queue, self._holder)


def to_delivery(row: tuple[Any, ...], names: Names, queue: Queue, holder: int) -> Delivery:
    """The delivery of a row with `COLUMNS`. holder: who has it, 0 for nobody."""
    number, body, message_id, headers, content_type, correlation_id, count, *others = row
    content_encoding, kind, app_id, dead_queue, dead_count, dead_at = others
    return Delivery(
        body=body,
        message_id=message_id,
        headers=MappingProxyType(json.loads(headers)),
        content_type=content_type,
        correlation_id=correlation_id,
        exchange=names.exchange,
        routing_key=names.routing_key(queue),
        delivery_count=count,
        token=LocalToken(holder, number),
        dead_letter=DeadLetter(dead_queue, "delivery_limit", dead_count, dead_at)
        if dead_queue
        else None,
        content_encoding=content_encoding,
        type=kind,
        app_id=app_id,
    )
