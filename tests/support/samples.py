"""A store in memory, for statistics of many downloads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dlmon.stores.reading import Sample, StoredEvent, StoreReader


class ListReader(StoreReader):
    """Reads a list. A cursor is how many of it were read."""

    identity = "list"

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = samples

    def knows(self, cursor: str) -> bool:
        return int(cursor) <= len(self._samples)

    def remaining(self, cursor: str | None) -> int:
        return len(self._samples) - int(cursor or 0)

    def newest(self, count: int) -> str | None:
        return str(len(self._samples) - count) if len(self._samples) > count else None

    def read_after(
        self, cursor: str | None, limit: int, until: str | None = None
    ) -> Iterator[tuple[list[Sample], str]]:
        end = len(self._samples) if until is None else int(until)
        for start in range(int(cursor or 0), end, limit):
            batch = [*self._samples[start : min(start + limit, end)]]
            yield batch, str(start + len(batch))

    def read_between(self, start: int, end: int, limit: int) -> Iterator[list[Sample]]:
        for first in range(0, len(self._samples), limit):
            batch = self._samples[first : first + limit]
            yield [one for one in batch if start <= one.at < end]

    def read_events(self, start: int, end: int, limit: int) -> Iterator[list[StoredEvent]]:
        for samples in self.read_between(start, end, limit):
            yield [StoredEvent(sample, "", b"{}") for sample in samples]

    def close(self) -> None:
        """Nothing is open."""
