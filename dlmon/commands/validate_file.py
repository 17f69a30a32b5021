"""Judges files of events with the consumer's own validator, and tells where they break rules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from dlmon.errors import ExitCode, FileError
from dlmon.event_files.block import Block
from dlmon.event_files.layout import Layout
from dlmon.event_files.reader import read_events
from dlmon.event_files.source import Source
from dlmon.findings import BlockJudge, Finding
from dlmon.stop import Stop


@dataclass(slots=True)
class Counts:
    """Of one file, or of all. `hidden` findings were counted and not told."""

    events: int = 0
    invalid: int = 0
    findings: int = 0
    hidden: int = 0

    @property
    def valid(self) -> int:
        return self.events - self.invalid

    def add(self, other: Counts) -> None:
        self.events += other.events
        self.invalid += other.invalid
        self.findings += other.findings
        self.hidden += other.hidden


@dataclass(frozen=True, slots=True)
class FileResult:
    """What became of one file. `error` tells why it could not be read to its end."""

    file: str
    counts: Counts
    error: FileError | None = None


@dataclass(slots=True)
class Result:
    """What became of all files."""

    counts: Counts = field(default_factory=Counts)
    files: int = 0
    unreadable: int = 0
    interrupted: bool = False

    @property
    def exit_code(self) -> ExitCode:
        if self.interrupted:
            return ExitCode.INTERRUPTED
        if self.unreadable:
            return ExitCode.USAGE
        return ExitCode.INVALID_DATA if self.counts.findings else ExitCode.DONE


class Report(Protocol):
    """Is told what comes out, file by file, in the order of the files."""

    def found(self, findings: Sequence[Finding]) -> None:
        """Some findings of a file, in their order."""

    def ended(self, result: FileResult) -> None:
        """A file was judged, or could not be read on."""


def validate_files(
    paths: Sequence[Path],
    judge: BlockJudge,
    report: Report,
    stop: Stop,
    *,
    limit: int,
    layout: Layout | None = None,
    max_errors: int | None = None,
) -> Result:
    """Judge every event of some files, `-` for stdin.

    limit: bytes of an event. layout: None to tell it from each file. max_errors: findings to tell
    of each file, None for all; the rest is counted.
    """
    result = Result()
    for path in paths:
        counts = Counts()
        error = None
        try:
            for file, block in _blocks(path, limit, layout):
                if stop.requested:
                    result.interrupted = True
                    break
                told = counts.findings - counts.hidden
                judged = judge.judge(file, block, None if max_errors is None else max_errors - told)
                counts.add(
                    Counts(
                        judged.events,
                        len(judged.invalid),
                        judged.findings,
                        judged.findings - len(judged.shown),
                    )
                )
                if judged.shown:
                    report.found(judged.shown)
        except FileError as unreadable:
            error = unreadable
            result.unreadable += 1
        result.files += 1
        result.counts.add(counts)
        report.ended(FileResult(str(path), counts, error))
        if result.interrupted:
            break
    return result


def _blocks(path: Path, limit: int, layout: Layout | None) -> Iterator[tuple[str, Block]]:
    with Source(path) as source:
        for part in read_events(source.pieces(), limit, layout):
            if isinstance(part, Block):
                yield source.name, part
