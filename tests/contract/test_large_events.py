"""Events that are large: a batch of them is handled in parts, so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from dlmon.brokers.base import Broker
from dlmon.commands.batches import PORTION_BYTES
from dlmon.commands.consume import consume
from dlmon.messages import Message, Queue
from dlmon.runtime.stop import Stop
from dlmon.stores.base import Entry, WriteResult
from dlmon.stores.sqlite import SqliteStore
from dlmon.validation.schema import load_schema
from dlmon.validation.validator import Validator
from tests.support.events import make_body


class _Noting(SqliteStore):
    """Notes how many bytes each batch has."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.sizes: list[int] = []

    def write(self, entries: Sequence[Entry]) -> WriteResult:
        self.sizes.append(sum(len(entry.body) for entry in entries))
        return super().write(entries)


@pytest.mark.slow
def test_a_batch_of_large_events_is_stored_in_parts(broker: Broker, tmp_path: Path) -> None:
    bodies = [make_body(note="x" * 60_000) for _ in range(400)]
    broker.publish(Queue.ARRIVALS, [[Message(body, str(at)) for at, body in enumerate(bodies)]])
    with _Noting(tmp_path / "events.db") as store:
        result = consume(broker, store, Validator(load_schema()), Stop(), until_empty=True)
        assert result.totals.stored == len(bodies)
        assert sum(store.sizes) == sum(map(len, bodies))
        assert max(store.sizes) <= PORTION_BYTES
