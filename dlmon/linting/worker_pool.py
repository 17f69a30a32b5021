"""WorkerPool blocks on all cores, and gives the results in order.

This process judges too: it does so whenever every worker has enough to do. Blocks reach a worker
through shared memory, in slots; only their numbers go through a pipe. So nobody ever waits for the
other to read: a message to a worker is far smaller than what a pipe holds.
"""

from __future__ import annotations

import mmap
import multiprocessing
import signal
from array import array
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from multiprocessing.connection import Connection
from typing import NamedTuple

from dlmon.errors import DlmonError, FileError
from dlmon.event_files.block import MAX_BLOCK_EVENTS, Block, Part, Position
from dlmon.linting.checker import BlockChecker
from dlmon.linting.findings import BlockReport
from dlmon.runtime.closeable import Closeable

_SLOTS = 4
"""Blocks that a worker has, so that it need not wait while this process is busy."""

_DATA_BYTES = 256 * 1024
_WORTH_GIVING = 32 * 1024
_SLOT_BYTES = _DATA_BYTES + 8 * MAX_BLOCK_EVENTS  # the spans behind the data

_GONE = "A worker process ended unexpectedly: try again with --jobs 1."


@dataclass(frozen=True, slots=True)
class End:
    """A file has no more parts. `error` tells why it could not be read to its end."""

    error: FileError | None


class Item(NamedTuple):
    """A part of a file. number: which of the files it is, from 0. wanted: see `BlockChecker`."""

    number: int
    file: str
    part: Part | End
    wanted: int | None = None


class _Job(NamedTuple):
    """A block in a slot of shared memory, less its data."""

    slot: int
    size: int
    file: str
    position: Position
    spans: int | None  # how many there are in the slot
    wanted: int | None


class WorkerPool(Closeable):
    """WorkerPool blocks in several processes, this one among them. Use as a context manager."""

    def __init__(self, judge: BlockChecker, jobs: int) -> None:
        """Starts the processes. To be called before this one has threads: it forks."""
        self._judge = judge
        self._workers: list[_Worker] = []
        for _ in range(jobs - 1):
            self._workers.append(_Worker(judge, self._workers))
        self._most = 2 * _SLOTS * jobs

    def validate_all(self, items: Iterator[Item]) -> Iterator[tuple[Item, BlockReport | None]]:
        """Each item with the verdict on its block, None for what is none; in order.

        Raises: DlmonError when another process is gone.
        """
        waiting: deque[tuple[Item, BlockReport | _Worker | None]] = deque()
        for item in items:
            outcome: BlockReport | _Worker | None = None
            if isinstance(item.part, Block):
                outcome = self._give(item.part, item)
                outcome = outcome or self._judge.validate(item.file, item.part, item.wanted)
            waiting.append((item, outcome))
            yield from _settled(waiting, self._most)
        yield from _settled(waiting, 0)

    def _give(self, block: Block, item: Item) -> _Worker | None:
        """The worker that took the block; None when none has room for it."""
        # A small block may come from somebody who waits for its result before there is another.
        fits = _WORTH_GIVING <= len(block.data) <= _DATA_BYTES
        if not self._workers or block.faults or block.oversized or not fits:
            return None
        worker = max(self._workers, key=lambda one: one.room)
        if not worker.room:
            return None
        worker.give(block, item)
        return worker

    def close(self) -> None:
        for worker in self._workers:
            worker.close()


def _settled(
    waiting: deque[tuple[Item, BlockReport | _Worker | None]], most: int
) -> Iterator[tuple[Item, BlockReport | None]]:
    """The first results, while they are there, or more than `most` wait."""
    while waiting:
        item, outcome = waiting[0]
        if isinstance(outcome, _Worker):
            if len(waiting) <= most and not outcome.ready:
                return
            outcome = outcome.take()
        waiting.popleft()
        yield item, outcome


class _Worker:
    """One worker, as this process sees it."""

    def __init__(self, judge: BlockChecker, others: Sequence[_Worker]) -> None:
        self._memory = mmap.mmap(-1, _SLOTS * _SLOT_BYTES)
        self._next = 0
        self.room = _SLOTS
        # Forked, so that nothing is imported again: that takes longer than most files do.
        context = multiprocessing.get_context("fork")
        self._pipe, theirs = context.Pipe()
        not_theirs = [self._pipe, *(other._pipe for other in others)]
        self._process = context.Process(
            target=_work, args=(judge, theirs, self._memory, not_theirs), daemon=True
        )
        # Ctrl-C reaches every process of the terminal; only this one is to act on it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()

    def give(self, block: Block, item: Item) -> None:
        """Raises: DlmonError when the worker is gone."""
        start = self._next * _SLOT_BYTES
        self._memory[start : start + len(block.data)] = block.data
        if block.spans is not None:
            start += _DATA_BYTES
            spans = array("I", chain.from_iterable(block.spans)).tobytes()
            self._memory[start : start + len(spans)] = spans
        count = None if block.spans is None else len(block.spans)
        job = _Job(self._next, len(block.data), item.file, block.position, count, item.wanted)
        self._next = (self._next + 1) % _SLOTS
        self.room -= 1
        try:
            self._pipe.send(job)
        except OSError as error:
            raise DlmonError(_GONE) from error

    @property
    def ready(self) -> bool:
        return self._pipe.poll()

    def take(self) -> BlockReport:
        """The result of the block that was given first.

        Raises: DlmonError when the worker is gone.
        """
        try:
            judged: BlockReport = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise DlmonError(_GONE) from error
        self.room += 1
        return judged

    def close(self) -> None:
        self._process.terminate()
        self._process.join()
        self._pipe.close()


def _work(
    judge: BlockChecker, pipe: Connection, memory: mmap.mmap, not_mine: Sequence[Connection]
) -> None:
    """A worker: judges what it is given until nobody gives any more."""
    for other in not_mine:
        other.close()  # or it would not be noticed when the process at the other end has gone
    while True:
        try:
            job: _Job = pipe.recv()
        except EOFError:
            return
        start = job.slot * _SLOT_BYTES
        data = memory[start : start + job.size]
        spans = None
        if job.spans is not None:
            start += _DATA_BYTES
            numbers = iter(array("I", memory[start : start + 8 * job.spans]))
            spans = tuple(zip(numbers, numbers, strict=True))
        try:
            pipe.send(judge.validate(job.file, Block(data, job.position, spans), job.wanted))
        except BrokenPipeError:
            return
