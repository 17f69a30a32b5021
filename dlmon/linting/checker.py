"""Checks the events of a block: what is wrong with them, and where in their file."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

from dlmon.event import event_id_of
from dlmon.event_files.block import (
    BYTE_ORDER_MARK_REASON,
    Block,
    Position,
    StrayViolation,
)
from dlmon.linting.findings import MAX_REASON, BlockReport, CheckOptions, Finding, Tally
from dlmon.linting.locations import Location, locate, snippet
from dlmon.linting.prefilter import UNKNOWN, Candidates, Prefilter
from dlmon.linting.violation_counter import Rule, ViolationCounter
from dlmon.validation.data_formats import BYTE_ORDER_MARK
from dlmon.validation.validator import MAX_VIOLATIONS, Validator
from dlmon.validation.violations import NOT_JSON, Verdict, Violation

if TYPE_CHECKING:
    from dlmon.linting.duplicate_ids import IdOccurrence

_ORJSON_POSITION = re.compile(r": line \d+ column \d+ \(char \d+\)$")


class BlockChecker:
    """Checks blocks by one schema."""

    def __init__(self, validator: Validator, options: CheckOptions | None = None) -> None:
        self._validator = validator
        self._prefilter = Prefilter(validator)
        self._is_valid = validator.schema.compiled.is_valid
        self._iter_errors = validator.schema.compiled.iter_errors
        self._options = options or CheckOptions()

    def check(self, file: str, block: Block, max_findings: int | None = None) -> BlockReport:
        """file: its name in findings. max_findings: how many to explain, None for all; violations
        beyond are only counted."""
        report = _ReportBuilder(file, block, max_findings, self._options)
        for stray in block.stray:
            report.add_stray(stray)
        if block.oversized:
            report.add_event(0, block.data, self._validator.too_large(block.oversized))
            return report.build(1)
        events = 0
        for candidates in self._prefilter.candidates(block):
            events += candidates.events
            if candidates.values:
                self._check(candidates, block, report)
        return report.build(events)

    def _check(self, candidates: Candidates, block: Block, report: _ReportBuilder) -> None:
        """Explain the violations of invalid events until the report is full, then count them."""
        explained = 0
        while not report.full and explained < len(candidates.values):
            self._explain(candidates.spans[explained], block, report)
            explained += 1
        if not (values := candidates.values[explained:]):
            return
        counts = self._count(values, report)
        if not self._options.spans and None not in counts:
            report.count(sum(filter(None, counts)), len(counts) - counts.count(0))
            return
        for index, violations in enumerate(counts, explained):
            if violations is None:
                self._explain(candidates.spans[index], block, report)
            elif violations:
                report.count(violations, span=candidates.spans[index])

    def _count(self, values: Sequence[Any], report: _ReportBuilder) -> list[int | None]:
        """How many violations each value has; None where only an explanation can tell.

        In a tally, the rules are counted too; the first violation of each needs an explanation.
        """
        tally = self._options.tally
        if self._options.first_only:
            is_valid = self._is_valid
            return [
                None if tally or value is UNKNOWN else int(not is_valid(value)) for value in values
            ]
        counts: list[int | None] = []
        for value, rules in zip(values, self._counter.broken_rules(values), strict=True):
            if value is UNKNOWN:
                counts.append(None)
            elif rules is None:
                counts.append(None if tally else self._count_errors(value))
            else:
                counts.append(len(rules) if not tally or report.tally(rules) else None)
        return counts

    def _count_errors(self, value: Any) -> int:
        return sum(1 for _ in islice(self._iter_errors(value), MAX_VIOLATIONS))

    def _explain(self, span: tuple[int, int], block: Block, report: _ReportBuilder) -> None:
        body = block.data[slice(*span)]
        report.add_event(span[0], body, self._verdict(body))

    @cached_property
    def _counter(self) -> ViolationCounter:
        # Built where it is needed: most files have few invalid events.
        return ViolationCounter(self._validator.schema)

    def _verdict(self, body: bytes) -> Verdict:
        verdict = self._validator.validate(body)
        if body.startswith(BYTE_ORDER_MARK):
            # orjson reports the mark alone: the event behind it is validated by itself.
            mark = Violation(NOT_JSON, "", BYTE_ORDER_MARK_REASON, 0)
            value, others = self._validator.validate(body[len(BYTE_ORDER_MARK) :])
            moved = (
                one
                if one.offset is None
                else replace(one, offset=one.offset + len(BYTE_ORDER_MARK))
                for one in others
            )
            verdict = Verdict(value, (mark, *moved))
        if self._options.first_only:
            return Verdict(verdict.value, verdict.violations[:1])
        return verdict


class _ReportBuilder:
    """Collects what is found in one block."""

    def __init__(
        self, file: str, block: Block, max_findings: int | None, options: CheckOptions
    ) -> None:
        self._file = file
        self._block = block
        self._max_findings = sys.maxsize if max_findings is None else max_findings
        self.full = self._max_findings <= 0
        self._tally: Tally | None = {} if options.tally else None
        self._spans: list[tuple[int, int]] | None = [] if options.spans else None
        self._ids = options.ids
        self._violations = 0
        self._invalid = 0
        self._findings: list[Finding] = []
        self._at = 0
        self._position = block.position  # of byte `_at`

    def add_stray(self, stray: StrayViolation) -> None:
        self._violations += 1
        if not self.full or self._tally is not None:
            position = self._block.position.after(self._block.data[: stray.offset])
            location = Location(stray.offset, stray.offset + 1, stray.violation)
            self._add_finding(self._finding(location, 0, self._block.data, position, None))

    def add_event(self, start: int, body: bytes, verdict: Verdict) -> None:
        """start: of the event in the block; events come in their order."""
        violations = verdict.violations
        if not violations:
            return
        self.count(len(violations), span=(start, start + len(body)))
        if self.full and (
            self._tally is None or self.tally([(one.code, one.path) for one in violations])
        ):
            return
        self._position = self._position.after(self._block.data[self._at : start])
        self._at = start
        event_id = event_id_of(verdict.value)
        for location in locate(body, verdict):
            position = self._position.after(body[: location.start])
            self._add_finding(self._finding(location, start, body, position, event_id))

    def count(self, violations: int, events: int = 1, span: tuple[int, int] | None = None) -> None:
        """Count invalid events. span: the bytes of the event, if it is one."""
        self._violations += violations
        self._invalid += events
        if self._spans is not None and span is not None:
            self._spans.append(span)

    def tally(self, rules: Sequence[Rule]) -> bool:
        """Count the rules that an event breaks; False, and nothing is counted, where one of them
        has no example yet."""
        tally = self._tally
        if tally is None or any(rule not in tally for rule in rules):
            return False
        for rule in rules:
            self._increment(rule)
        return True

    def build(self, events: int) -> BlockReport:
        shown = sorted(self._findings, key=lambda one: one.position)[: self._max_findings]
        ids: tuple[IdOccurrence, ...] = ()
        if self._ids and not self._block.oversized:
            from dlmon.linting.duplicate_ids import ids_in

            ids = tuple(ids_in(self._block))
        return BlockReport(
            events=events,
            invalid=self._invalid,
            findings=self._violations,
            shown=tuple(shown),
            tally=self._tally or {},
            ids=ids,
            invalid_spans=tuple(self._spans or ()),
        )

    def _add_finding(self, finding: Finding) -> None:
        if not self.full:
            self._findings.append(finding)
            self.full = len(self._findings) >= self._max_findings
        if self._tally is not None:
            self._tally.setdefault((finding.code, finding.path), (0, finding))
            self._increment((finding.code, finding.path))

    def _increment(self, rule: Rule) -> None:
        if self._tally is not None:
            count, first = self._tally[rule]
            self._tally[rule] = (count + 1, first)

    def _finding(
        self, location: Location, start: int, body: bytes, position: Position, event_id: str | None
    ) -> Finding:
        text = body[location.start : location.end]
        violation = location.violation
        return Finding(
            file=self._file,
            position=position,
            end=position.after(text) if text else Position(position.line, position.column + 1),
            code=violation.code,
            path=violation.path,
            reason=_clip(_ORJSON_POSITION.sub("", violation.reason)),
            event_id=event_id,
            snippet=snippet(self._block.data, start + location.start, start + location.end),
        )


def _clip(reason: str) -> str:
    return reason if len(reason) <= MAX_REASON else reason[: MAX_REASON - 1] + "…"
