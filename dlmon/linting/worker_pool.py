"""Checks blocks in several processes, and gives the reports in order.

This process checks blocks too, whenever every worker has enough to do. Blocks reach a worker
through shared memory, in slots; only their numbers go through a pipe. A message to a worker is far
smaller than a pipe's buffer, so neither side ever blocks on a write while the other does too.
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
from dlmon.runtime.processes import can_fork
from dlmon.runtime.resources import lacking, spare_descriptors

_SLOTS = 4
"""Blocks that a worker has, so that it need not wait while this process is busy."""

_SPARE_DESCRIPTORS = 16  # for the files that this process opens later

_DATA_BYTES = 256 * 1024
_MIN_BYTES = 32 * 1024
_SLOT_BYTES = _DATA_BYTES + 8 * MAX_BLOCK_EVENTS  # the spans are behind the data

_WORKER_ENDED = "A worker process ended unexpectedly: try again with --jobs 1."


@dataclass(frozen=True, slots=True)
class End:
    """A file has no more parts. error: why it could not be read to its end."""

    error: FileError | None


class Item(NamedTuple):
    """A part of a file. number: the index of the file, from 0. max_findings: see `BlockChecker`."""

    number: int
    file: str
    part: Part | End
    max_findings: int | None = None


class _Job(NamedTuple):
    """A block in a slot of shared memory, without its data."""

    slot: int
    size: int
    file: str
    position: Position
    spans: int | None  # how many there are in the slot
    max_findings: int | None


class WorkerPool(Closeable):
    """Checks blocks in several processes, this one among them. Use as a context manager.

    `start_error` says why there are fewer processes than asked for, else it is None.
    """

    def __init__(self, checker: BlockChecker, jobs: int) -> None:
        """Forks `jobs` - 1 processes, or as many as the system allows. To be called before this
        process has threads."""
        self._checker = checker
        self._workers: list[_Worker] = []
        self.start_error: str | None = None
        wanted = jobs
        if jobs > 1 and not can_fork():
            self.start_error = "this system cannot fork"
            jobs = 1
        with spare_descriptors(_SPARE_DESCRIPTORS):
            for _ in range(jobs - 1):
                try:
                    self._workers.append(_Worker(checker, self._workers))
                except OSError as error:  # no more processes, descriptors or memory
                    self.start_error = lacking(error) or error.strerror
                    break
        if self.start_error is not None:
            counts = f"{self.jobs} of {wanted} processes could be started"
            self.start_error = f"{counts}: {self.start_error}."
        self._max_waiting = 2 * _SLOTS * self.jobs

    @property
    def jobs(self) -> int:
        """The number of processes."""
        return 1 + len(self._workers)

    def check_all(self, items: Iterator[Item]) -> Iterator[tuple[Item, BlockReport | None]]:
        """Each item with the report on its block, None if it is not a block; in order.

        Raises: DlmonError when a worker has ended.
        """
        waiting: deque[tuple[Item, BlockReport | _Worker | None]] = deque()
        for item in items:
            outcome: BlockReport | _Worker | None = None
            if isinstance(item.part, Block):
                outcome = self._delegate(item.part, item)
                outcome = outcome or self._checker.check(item.file, item.part, item.max_findings)
            waiting.append((item, outcome))
            yield from _completed(waiting, self._max_waiting)
        yield from _completed(waiting, 0)

    def _delegate(self, block: Block, item: Item) -> _Worker | None:
        """The worker that took the block; None when none has a free slot."""
        # A small block may come from a pipe whose writer waits for its report.
        fits = _MIN_BYTES <= len(block.data) <= _DATA_BYTES
        if not self._workers or block.stray or block.oversized or not fits:
            return None
        worker = max(self._workers, key=lambda one: one.free_slots)
        if not worker.free_slots:
            return None
        worker.send(block, item)
        return worker

    def close(self) -> None:
        for worker in self._workers:
            worker.close()


def _completed(
    waiting: deque[tuple[Item, BlockReport | _Worker | None]], limit: int
) -> Iterator[tuple[Item, BlockReport | None]]:
    """The first reports that are there. While more than `limit` items wait, wait for them."""
    while waiting:
        item, outcome = waiting[0]
        if isinstance(outcome, _Worker):
            if len(waiting) <= limit and not outcome.ready:
                return
            outcome = outcome.receive()
        waiting.popleft()
        yield item, outcome


class _Worker:
    """A worker process, as this process sees it."""

    def __init__(self, checker: BlockChecker, others: Sequence[_Worker]) -> None:
        """Raises: OSError."""
        self._memory = mmap.mmap(-1, _SLOTS * _SLOT_BYTES)
        self._next = 0
        self.free_slots = _SLOTS
        # Forked, so that no module is imported again: that takes longer than checking most files.
        context = multiprocessing.get_context("fork")
        self._pipe, theirs = context.Pipe()
        to_close = [self._pipe, *(other._pipe for other in others)]
        self._process = context.Process(
            target=_work, args=(checker, theirs, self._memory, to_close), daemon=True
        )
        # Ctrl-C reaches every process of the terminal; only this one acts on it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._process.start()
        except OSError:
            self._pipe.close()
            self._memory.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.close()

    def send(self, block: Block, item: Item) -> None:
        """Raises: DlmonError when the worker has ended."""
        start = self._next * _SLOT_BYTES
        self._memory[start : start + len(block.data)] = block.data
        if block.spans is not None:
            start += _DATA_BYTES
            spans = array("I", chain.from_iterable(block.spans)).tobytes()
            self._memory[start : start + len(spans)] = spans
        count = None if block.spans is None else len(block.spans)
        job = _Job(self._next, len(block.data), item.file, block.position, count, item.max_findings)
        self._next = (self._next + 1) % _SLOTS
        self.free_slots -= 1
        try:
            self._pipe.send(job)
        except OSError as error:
            raise DlmonError(_WORKER_ENDED) from error

    @property
    def ready(self) -> bool:
        """Whether `receive` need not wait."""
        return self._pipe.poll()

    def receive(self) -> BlockReport:
        """The report on the block that was sent first.

        Raises: DlmonError when the worker has ended.
        """
        try:
            report: BlockReport = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise DlmonError(_WORKER_ENDED) from error
        self.free_slots += 1
        return report

    def close(self) -> None:
        self._process.terminate()
        self._process.join()
        self._pipe.close()


def _work(
    checker: BlockChecker, pipe: Connection, memory: mmap.mmap, to_close: Sequence[Connection]
) -> None:
    """The main function of a worker, which ends when the pipe is closed."""
    for other in to_close:
        other.close()  # an open copy would keep the pipe open after its owner has ended
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
            pipe.send(checker.check(job.file, Block(data, job.position, spans), job.max_findings))
        except BrokenPipeError:
            return
