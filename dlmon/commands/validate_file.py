"""`dlmon validate-file`: validates files of events as `consume` does, and reports findings."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from dlmon.errors import DlmonError, ExitCode, FileError
from dlmon.event import EVENT_ID
from dlmon.event_files.block import Block, Position
from dlmon.event_files.detect import Layout
from dlmon.event_files.discovery import FoundPath
from dlmon.event_files.input import Input, name_of
from dlmon.event_files.reader import read_events
from dlmon.linting.checker import BlockChecker
from dlmon.linting.findings import BlockReport, CheckOptions, Finding, Snippet, Tally
from dlmon.linting.split import Split
from dlmon.linting.worker_pool import End, Item, WorkerPool
from dlmon.rejects.groups import MAX_GROUPS, OTHER
from dlmon.runtime.resources import as_resource_error
from dlmon.runtime.stop import Stop
from dlmon.validation.validator import Validator
from dlmon.validation.violations import ID_CONFLICT

if TYPE_CHECKING:
    from dlmon.linting.duplicate_ids import RepeatedId, SeenIds

REPEATED_ID = "repeated-id"
"""The code of an event that an earlier one equals. With another body, it is `id-conflict`."""

_WORTH_A_PROCESS = 4 * 1024 * 1024  # bytes


@dataclass(slots=True)
class Counts:
    """Counts of one file, or of all.

    findings: all of them; `hidden` of these are not shown. repeated: ids that an earlier event has;
    an event counts as valid or invalid regardless of that.
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
    def shown(self) -> int:
        return self.findings - self.hidden

    def add(self, block: BlockReport, shown: int) -> None:
        self.events += block.events
        self.invalid += block.invalid
        self.findings += block.findings
        self.hidden += block.findings - shown


@dataclass(frozen=True, slots=True)
class FileResult:
    """The result of one file. error: why it could not be read on at `line`, None if it was read to
    its end."""

    file: str
    counts: Counts
    line: int
    error: FileError | None = None


class FindingGroup(NamedTuple):
    """The findings with one code and path. sample: the first of them."""

    code: str
    path: str
    findings: int
    sample: Finding


@dataclass(slots=True)
class Result:
    """The result of all files.

    unreadable: those that could not be read to their end. interrupted: by a stop; output_closed:
    the reader of stdout has gone; error: of this program's own files or processes. After each of
    these, the rest was not checked. groups: if they were asked for, the largest first.
    """

    counts: Counts = field(default_factory=Counts)
    files: int = 0
    unreadable: list[FileResult] = field(default_factory=list)
    interrupted: bool = False
    output_closed: bool = False
    error: DlmonError | None = None
    groups: list[FindingGroup] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether all files were checked, as far as they could be read."""
        return not self.interrupted and self.error is None

    @property
    def exit_code(self) -> ExitCode:
        if self.error is not None:
            return self.error.exit_code
        if self.interrupted:
            return ExitCode.INTERRUPTED
        if self.unreadable:
            return ExitCode.USAGE
        if self.counts.findings:
            return ExitCode.INVALID_DATA
        return ExitCode.USAGE if self.output_closed else ExitCode.DONE


class Report(Protocol):
    """Gets findings in the order of the files; those about repeated ids come at the very end."""

    def on_findings(self, findings: Sequence[Finding]) -> None:
        """Called with the next findings."""

    def on_file_end(self, result: FileResult) -> None:
        """Called when a file was checked to its end, or could not be read on."""


Progress: TypeAlias = Callable[[int, Counts], None]
"""Called with the number of bytes read of all files, before decompression, and all counts."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to check files.

    layout: None to detect that of each file. max_errors: findings shown of each file, None for all;
    the others are counted. unique: find repeated ids. jobs: processes to check in. split_valid,
    split_invalid: where to write the events; None for nowhere.
    """

    layout: Layout | None = None
    max_errors: int | None = None
    first_only: bool = False
    unique: bool = False
    groups: bool = False
    jobs: int = 1
    split_valid: Path | None = None
    split_invalid: Path | None = None


def start_workers(validator: Validator, options: Options, size: int | None) -> WorkerPool:
    """The processes that check files, only this one for small files. To be called before there are
    threads.

    size: bytes of all files, None if that is unknown.
    """
    check = CheckOptions(
        first_only=options.first_only,
        tally=options.groups,
        ids=options.unique,
        spans=options.split_valid is not None or options.split_invalid is not None,
    )
    small = size is not None and size < _WORTH_A_PROCESS
    return WorkerPool(BlockChecker(validator, check), 1 if small else options.jobs)


def validate_files(
    files: Sequence[FoundPath],
    workers: WorkerPool,
    report: Report,
    *,
    stop: Stop,
    options: Options,
    limit: int,
    progress: Progress = lambda _read, _counts: None,
) -> Result:
    """Check every event of some files, `-` for stdin. limit: bytes of an event."""
    run = _CheckRun(files, report, options, progress)
    try:
        with as_resource_error(), ExitStack() as opened:
            if options.unique:
                from dlmon.linting.duplicate_ids import SeenIds

                run.ids = opened.enter_context(SeenIds(stop))
            if options.split_valid is not None or options.split_invalid is not None:
                split = Split(options.split_valid, options.split_invalid)
                run.split = opened.enter_context(split)
            for item, block in workers.check_all(run.items(limit, stop)):
                run.add(item, block)
            run.find_repeated()
            run.result.interrupted = stop.requested
    except BrokenPipeError:
        run.result.output_closed = True
    except DlmonError as error:  # not raised: a report has to be whole in any case
        run.result.error = error
    run.result.groups = run.groups.largest_first()
    return run.result


class _CheckRun:
    """The state of checking some files."""

    def __init__(
        self, files: Sequence[FoundPath], report: Report, options: Options, progress: Progress
    ) -> None:
        self.result = Result()
        self.groups = _Groups()
        self.ids: SeenIds | None = None
        self.split: Split | None = None
        self._files = files
        self._report = report
        self._options = options
        self._progress = progress
        self._file = Counts()  # of the file whose reports arrive now
        self._block: Block | None = None  # of that file, the last one reported
        self._read_before = 0  # bytes of earlier files
        self._read = 0

    def items(self, limit: int, stop: Stop) -> Iterator[Item]:
        """The parts of all files."""
        for number, found in enumerate(self._files):
            error = found.error
            if error is None:
                error = yield from self._parts(number, found.path, limit, stop)
            yield Item(number, name_of(found.path), End(error))
            if stop.requested:
                return

    def _parts(
        self, number: int, path: Path, limit: int, stop: Stop
    ) -> Generator[Item, None, FileError | None]:
        """The parts of one file. Returns why there are no more of them, None at its end."""
        try:
            with Input(path, stop) as source:
                for part in read_events(source.pieces(), limit, self._options.layout):
                    if stop.requested:
                        break
                    self._read = self._read_before + source.read
                    yield Item(number, source.name, part, self._remaining())
                self._read_before += source.read
        except FileError as error:
            return None if stop.requested else error
        return None

    def add(self, item: Item, report: BlockReport | None) -> None:
        """Add what was found in a part of a file."""
        if isinstance(item.part, End):
            self._end(item.file, item.part)
            return
        if self.split is not None:
            self.split.write(item.part, report.invalid_spans if report else ())
        if report is None or not isinstance(item.part, Block):
            return
        self._block = item.part
        shown = report.shown[: self._remaining()]
        self._file.add(report, len(shown))
        self.result.counts.add(report, len(shown))
        self.groups.add(report.tally)
        if self.ids is not None:
            self.ids.add(item.number, report.ids)
        if shown:
            self._report.on_findings(shown)
        self._progress(self._read, self.result.counts)

    def find_repeated(self) -> None:
        if self.ids is None:
            return
        counts = self.result.counts
        shown = 0
        for repeated in self.ids.repeated():
            counts.repeated += 1
            counts.findings += 1
            finding = self._repetition(repeated)
            if self._options.groups:
                self.groups.add({(finding.code, finding.path): (1, finding)})
            if self._options.max_errors is None or shown < self._options.max_errors:
                shown += 1
                self._report.on_findings([finding])
            else:
                counts.hidden += 1

    def _remaining(self) -> int | None:
        """How many more findings of this file are shown; None for all."""
        limit = self._options.max_errors
        return None if limit is None else max(0, limit - self._file.shown)

    def _end(self, file: str, end: End) -> None:
        self.result.files += 1
        line = 1 if self._block is None else self._block.end.line
        ended = FileResult(file, self._file, line, end.error)
        if end.error is not None:
            self.result.unreadable.append(ended)
        self._report.on_file_end(ended)
        self._file = Counts()
        self._block = None

    def _repetition(self, repeated: RepeatedId) -> Finding:
        first_file = name_of(self._files[repeated.first_number].path)
        first = f"{first_file}:{repeated.first_line}:{repeated.first_column}"
        body = "the event" if repeated.same_body else "another event with this id"
        event_id = repeated.event_id
        return Finding(
            file=name_of(self._files[repeated.number].path),
            position=Position(repeated.line, repeated.column),
            end=Position(repeated.line, repeated.end_column),
            code=REPEATED_ID if repeated.same_body else ID_CONFLICT,
            path=f"/{EVENT_ID}",
            reason=f"{body} stands at {first} already",
            event_id=event_id,
            snippet=Snippet(f'"{event_id}"', 0, len(event_id) + 2),
        )


class _Groups:
    """Counts findings by code and path. Paths come from events, so their number is bounded."""

    def __init__(self) -> None:
        self._groups: Tally = {}

    def add(self, tally: Tally) -> None:
        for rule, (count, sample) in tally.items():
            key = rule if rule in self._groups or len(self._groups) < MAX_GROUPS else (OTHER, "")
            before, first = self._groups.get(key, (0, sample))
            self._groups[key] = (before + count, first)

    def largest_first(self) -> list[FindingGroup]:
        groups = [FindingGroup(*key, *value) for key, value in self._groups.items()]
        return sorted(groups, key=lambda group: -group.findings)
