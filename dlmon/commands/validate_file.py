"""Validates files of events as `consume` does, and reports where they break rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from dlmon.errors import ExitCode, FileError
from dlmon.event_files.block import Block, Position
from dlmon.event_files.detect import Layout
from dlmon.event_files.input import Input, name_of
from dlmon.event_files.reader import read_events
from dlmon.linting.checker import BlockChecker
from dlmon.linting.findings import BlockReport, CheckOptions, Finding, Snippet, Tally
from dlmon.linting.split import Split
from dlmon.linting.worker_pool import End, Item, WorkerPool
from dlmon.rejects.groups import MAX_GROUPS, OTHER
from dlmon.runtime.stop import Stop
from dlmon.validation.validator import Validator
from dlmon.validation.violations import ID_CONFLICT

if TYPE_CHECKING:
    from dlmon.linting.duplicate_ids import Repeated, UniqueIds

REPEATED_ID = "repeated-id"
"""The code of an event that stands twice. With another body, it is `id-conflict`."""

_WORTH_A_PROCESS = 4 * 1024 * 1024  # bytes


@dataclass(slots=True)
class Counts:
    """Of one file, or of all. `hidden` findings were counted and not told.

    repeated: ids that stood before, of events that count as valid or invalid all the same.
    """

    events: int = 0
    invalid: int = 0
    repeated: int = 0
    findings: int = 0
    hidden: int = 0

    @property
    def valid(self) -> int:
        return self.events - self.invalid

    @property
    def told(self) -> int:
        return self.findings - self.hidden

    def add(self, judged: BlockReport, shown: int) -> None:
        self.events += judged.events
        self.invalid += judged.invalid
        self.findings += judged.findings
        self.hidden += judged.findings - shown


@dataclass(frozen=True, slots=True)
class FileResult:
    """What became of one file.

    error: why it could not be read to its end, and line: from which line on.
    """

    file: str
    counts: Counts
    line: int
    error: FileError | None = None


class FindingGroup(NamedTuple):
    """Findings with one code and path, and the first of them."""

    code: str
    path: str
    findings: int
    sample: Finding


@dataclass(slots=True)
class Result:
    """What became of all files.

    unreadable: those that could not be read to their end. unheard: whoever read what was written
    has gone, so that the rest was not judged. groups: if they were asked for, the largest first.
    """

    counts: Counts = field(default_factory=Counts)
    files: int = 0
    unreadable: list[FileResult] = field(default_factory=list)
    interrupted: bool = False
    unheard: bool = False
    groups: list[FindingGroup] = field(default_factory=list)

    @property
    def exit_code(self) -> ExitCode:
        if self.interrupted:
            return ExitCode.INTERRUPTED
        if self.unreadable:
            return ExitCode.USAGE
        if self.counts.findings:
            return ExitCode.INVALID_DATA
        return ExitCode.USAGE if self.unheard else ExitCode.DONE


class Report(Protocol):
    """Is told what comes out, in the order of the files; ids that stand twice at the very end."""

    def found(self, findings: Sequence[Finding]) -> None:
        """Some findings, in their order."""

    def ended(self, result: FileResult) -> None:
        """A file was judged, or could not be read on."""


Progress: TypeAlias = Callable[[int, Counts], None]
"""Is told how many bytes of the files were read, before they are unpacked, and all counts."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to judge.

    layout: None to tell it from each file. max_errors: findings to tell of each file, None for all;
    the rest is counted. unique: look for ids that stand twice. jobs: processes to judge in.
    split_valid, split_invalid: where to write the events; None for nowhere.
    """

    layout: Layout | None = None
    max_errors: int | None = None
    first_only: bool = False
    unique: bool = False
    groups: bool = False
    jobs: int = 1
    split_valid: Path | None = None
    split_invalid: Path | None = None


def judges(validator: Validator, options: Options, size: int | None) -> WorkerPool:
    """What judges, in as many processes as that is worth. To be called before there are threads.

    size: bytes of all files, None if nobody knows.
    """
    wishes = CheckOptions(
        first_only=options.first_only,
        tally=options.groups,
        ids=options.unique,
        places=options.split_valid is not None or options.split_invalid is not None,
    )
    small = size is not None and size < _WORTH_A_PROCESS
    return WorkerPool(BlockChecker(validator, wishes), 1 if small else options.jobs)


def validate_files(
    paths: Sequence[Path],
    judges: WorkerPool,
    report: Report,
    *,
    stop: Stop,
    options: Options,
    limit: int,
    progress: Progress = lambda _read, _counts: None,
) -> Result:
    """Judge every event of some files, `-` for stdin. limit: bytes of an event.

    Raises: FileError when events cannot be written, or ids cannot be compared.
    """
    with ExitStack() as stack:
        run = _Run(paths, report, options, progress)
        if options.unique:
            from dlmon.linting.duplicate_ids import UniqueIds

            run.ids = stack.enter_context(UniqueIds())
        if options.split_valid is not None or options.split_invalid is not None:
            split = Split(options.split_valid, options.split_invalid)
            run.split = stack.enter_context(split)
        try:
            for item, judged in judges.validate_all(run.items(limit, stop)):
                run.settle(item, judged)
            run.result.interrupted = stop.requested
            if not stop.requested:
                run.find_repeated()
        except BrokenPipeError:
            run.result.unheard = True
        run.result.groups = run.groups.largest_first()
        return run.result


class _Run:
    """What is known so far of some files."""

    def __init__(
        self, paths: Sequence[Path], report: Report, options: Options, progress: Progress
    ) -> None:
        self.result = Result()
        self.groups = _Groups()
        self.ids: UniqueIds | None = None
        self.split: Split | None = None
        self._paths = paths
        self._report = report
        self._options = options
        self._progress = progress
        self._file = Counts()  # of the file that is settled now
        self._block: Block | None = None  # of the file, the one settled last
        self._read_before = 0  # bytes of earlier files
        self._read = 0

    def items(self, limit: int, stop: Stop) -> Iterator[Item]:
        """The parts of all files."""
        for number, path in enumerate(self._paths):
            name = name_of(path)
            error = None
            try:
                with Input(path, stop) as source:
                    for part in read_events(source.pieces(), limit, self._options.layout):
                        if stop.requested:
                            break
                        self._read = self._read_before + source.read
                        yield Item(number, name, part, self._wanted())
                    self._read_before += source.read
            except FileError as unreadable:
                error = None if stop.requested else unreadable
            yield Item(number, name, End(error))
            if stop.requested:
                return

    def settle(self, item: Item, judged: BlockReport | None) -> None:
        if isinstance(item.part, End):
            self._end(item.file, item.part)
            return
        if self.split is not None:
            self.split.write(item.part, judged.places if judged else ())
        if judged is None or not isinstance(item.part, Block):
            return
        self._block = item.part
        shown = judged.shown[: self._wanted()]
        self._file.add(judged, len(shown))
        self.result.counts.add(judged, len(shown))
        self.groups.add(judged.tally)
        if self.ids is not None:
            self.ids.add(item.number, judged.ids)
        if shown:
            self._report.found(shown)
        self._progress(self._read, self.result.counts)

    def find_repeated(self) -> None:
        if self.ids is None:
            return
        counts = self.result.counts
        told = 0
        for repeated in self.ids.repeated():
            counts.repeated += 1
            counts.findings += 1
            finding = self._repetition(repeated)
            if self._options.groups:
                self.groups.add({(finding.code, finding.path): (1, finding)})
            if self._options.max_errors is None or told < self._options.max_errors:
                told += 1
                self._report.found([finding])
            else:
                counts.hidden += 1

    def _wanted(self) -> int | None:
        most = self._options.max_errors
        return None if most is None else max(0, most - self._file.told)

    def _end(self, file: str, end: End) -> None:
        self.result.files += 1
        line = 1 if self._block is None else self._block.end.line
        ended = FileResult(file, self._file, line, end.error)
        if end.error is not None:
            self.result.unreadable.append(ended)
        self._report.ended(ended)
        self._file = Counts()
        self._block = None

    def _repetition(self, repeated: Repeated) -> Finding:
        number, line, column, end_column, event_id, same, *first = repeated
        names = [name_of(self._paths[index]) for index in (number, first[0])]
        body = "the event" if same else "another event with this id"
        return Finding(
            file=names[0],
            position=Position(line, column),
            end=Position(line, end_column),
            code=REPEATED_ID if same else ID_CONFLICT,
            path="/event_id",
            reason=f"{body} stands at {names[1]}:{first[1]}:{first[2]} already",
            event_id=event_id,
            snippet=Snippet(f'"{event_id}"', 0, len(event_id) + 2),
        )


class _Groups:
    """Counts findings by code and path. Paths come from events: there can be any number."""

    def __init__(self) -> None:
        self._groups: Tally = {}

    def add(self, tally: Tally) -> None:
        for given, (count, sample) in tally.items():
            key = given if given in self._groups or len(self._groups) < MAX_GROUPS else (OTHER, "")
            before, first = self._groups.get(key, (0, sample))
            self._groups[key] = (before + count, first)

    def largest_first(self) -> list[FindingGroup]:
        groups = [FindingGroup(*key, *value) for key, value in self._groups.items()]
        return sorted(groups, key=lambda group: -group.findings)
