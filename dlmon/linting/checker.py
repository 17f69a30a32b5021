"""What is wrong with the events of a block, and where in their file."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import astuple, replace
from functools import cached_property
from itertools import islice
from typing import Any, NamedTuple

from dlmon.event import event_id_of
from dlmon.event_files.block import (
    BYTE_ORDER_MARK,
    BYTE_ORDER_MARK_REASON,
    Block,
    Fault,
    Position,
)
from dlmon.linting.broken_rules import BrokenRules, Rule
from dlmon.linting.findings import MAX_REASON, BlockReport, CheckOptions, Finding, Snippet, Tally
from dlmon.linting.ids import IdSeen, ids_seen
from dlmon.linting.prefilter import UNKNOWN, Prefilter, Screened
from dlmon.validation.json_positions import ValueSpan, offset_deeper_than, value_spans
from dlmon.validation.validator import MAX_DEPTH, MAX_VIOLATIONS, Validator
from dlmon.validation.violations import DUPLICATE_KEY, NOT_JSON, TOO_LARGE, Verdict, Violation

_SNIPPET = 160  # bytes kept on each side of a place
_ORJSON_PLACE = re.compile(r": line \d+ column \d+ \(char \d+\)$")


class _Spot(NamedTuple):
    """Bytes `start` to `end` of an event, exclusive, break a rule."""

    start: int
    end: int
    violation: Violation


class BlockChecker:
    """WorkerPool blocks by one schema."""

    def __init__(self, validator: Validator, wishes: CheckOptions | None = None) -> None:
        self._validator = validator
        self._screener = Prefilter(validator)
        self._is_valid = validator.schema.compiled.is_valid
        self._iter_errors = validator.schema.compiled.iter_errors
        self._wishes = wishes or CheckOptions()

    def validate(self, file: str, block: Block, wanted: int | None = None) -> BlockReport:
        """file: the name for findings. wanted: how many of them to tell; None for all."""
        found = _Found(file, block, wanted, self._wishes)
        for fault in block.faults:
            found.add_fault(fault)
        if block.oversized:
            found.add(0, block.data, self._validator.too_large(block.oversized))
            return found.judged(1, ())
        events = 0
        for screened in self._screener.screen(block):
            events += screened.events
            if screened.suspects:
                self._look_at(screened, block, found)
        ids = tuple(ids_seen(block)) if self._wishes.ids else ()
        return found.judged(events, ids)

    def _look_at(self, screened: Screened, block: Block, found: _Found) -> None:
        """Explain events as long as findings are wanted, and count those of the others."""
        explained = 0
        while not found.full and explained < len(screened.suspects):
            self._explain(screened.spans[explained], block, found)
            explained += 1
        if not (others := screened.suspects[explained:]):
            return
        counts = self._tally(others, found) if self._wishes.tally else self._count(others)
        if not self._wishes.places and None not in counts:
            found.count(sum(filter(None, counts)), len(counts) - counts.count(0))
            return
        for index, violations in enumerate(counts, explained):
            if violations is None:
                self._explain(screened.spans[index], block, found)
            elif violations:
                found.count(violations, place=screened.spans[index])

    def _count(self, suspects: Sequence[Any]) -> list[int | None]:
        """How many violations each has, in less time than it takes to tell them; None to do so."""
        if self._wishes.first_only:
            is_valid = self._is_valid
            return [None if value is UNKNOWN else int(not is_valid(value)) for value in suspects]
        return [
            self._count_errors(value) if broken is None or value is UNKNOWN else len(broken)
            for value, broken in zip(suspects, self._broken_rules.of_each(suspects), strict=True)
        ]

    def _count_errors(self, value: Any) -> int | None:
        if value is UNKNOWN:
            return None
        return sum(1 for _ in islice(self._iter_errors(value), MAX_VIOLATIONS))

    def _tally(self, suspects: Sequence[Any], found: _Found) -> list[int | None]:
        """The same, and their broken rules are tallied; None, too, for one without an example."""
        if self._wishes.first_only:
            return [None] * len(suspects)
        return [
            len(broken)
            if broken is not None and value is not UNKNOWN and found.tally(broken)
            else None
            for value, broken in zip(suspects, self._broken_rules.of_each(suspects), strict=True)
        ]

    def _explain(self, span: tuple[int, int], block: Block, found: _Found) -> None:
        body = block.data[slice(*span)]
        found.add(span[0], body, self._verdict(body))

    @cached_property
    def _broken_rules(self) -> BrokenRules:
        # Most files have not enough invalid events to need it.
        return BrokenRules(self._validator.schema)

    def _verdict(self, body: bytes) -> Verdict:
        verdict = self._validator.validate(body)
        if body.startswith(BYTE_ORDER_MARK):
            # It hides what else is wrong.
            mark = Violation(NOT_JSON, "", BYTE_ORDER_MARK_REASON, 0)
            value, others = self._validator.validate(body[len(BYTE_ORDER_MARK) :])
            moved = (
                one
                if one.offset is None
                else replace(one, offset=one.offset + len(BYTE_ORDER_MARK))
                for one in others
            )
            verdict = Verdict(value, (mark, *moved))
        if self._wishes.first_only:
            return Verdict(verdict.value, verdict.violations[:1])
        return verdict


class _Found:
    """What is wrong in one block."""

    def __init__(self, file: str, block: Block, wanted: int | None, wishes: CheckOptions) -> None:
        self._file = file
        self._block = block
        self._wanted = sys.maxsize if wanted is None else wanted
        self.full = self._wanted <= 0  # no more findings are wanted than there are
        self._tally: Tally | None = {} if wishes.tally else None
        self._places: list[tuple[int, int]] | None = [] if wishes.places else None
        self._count = 0
        self._invalid = 0
        self._findings: list[Finding] = []
        self._at = 0
        self._position = block.position  # of byte `_at`

    def add_fault(self, fault: Fault) -> None:
        self._count += 1
        if not self.full or self._tally is not None:
            position = self._block.position.after(self._block.data[: fault.offset])
            spot = _Spot(fault.offset, fault.offset + 1, fault.violation)
            self._tell(self._finding(spot, 0, self._block.data, position, None))

    def add(self, start: int, body: bytes, verdict: Verdict) -> None:
        """start: of the event in the block; not before that of the one added last."""
        violations = verdict.violations
        if not violations:
            return
        self.count(len(violations), place=(start, start + len(body)))
        tally = self._tally
        if self.full and (
            tally is None or all((one.code, one.path) in tally for one in violations)
        ):
            for one in violations if tally is not None else ():
                self._tick((one.code, one.path))
            return
        self._position = self._position.after(self._block.data[self._at : start])
        self._at = start
        event_id = event_id_of(verdict.value)
        for spot in _spots(body, verdict):
            position = self._position.after(body[: spot.start])
            self._tell(self._finding(spot, start, body, position, event_id))

    def count(self, violations: int, events: int = 1, place: tuple[int, int] | None = None) -> None:
        """Count invalid events. place: the bytes of the one event."""
        self._count += violations
        self._invalid += events
        if self._places is not None and place is not None:
            self._places.append(place)

    def tally(self, broken: Sequence[Rule]) -> bool:
        """Tally the rules that an event breaks; False where one of them has no example yet."""
        tally = self._tally or {}
        if any(rule not in tally for rule in broken):
            return False
        for rule in broken:
            self._tick(rule)
        return True

    def judged(self, events: int, ids: tuple[IdSeen, ...]) -> BlockReport:
        shown = sorted(self._findings, key=lambda one: one.position)[: self._wanted]
        tally = self._tally or {}
        places = tuple(self._places or ())
        return BlockReport(events, self._invalid, self._count, tuple(shown), tally, ids, places)

    def _tell(self, finding: Finding) -> None:
        if not self.full:
            self._findings.append(finding)
            self.full = len(self._findings) >= self._wanted
        if self._tally is not None:
            self._tally.setdefault((finding.code, finding.path), (0, finding))
            self._tick((finding.code, finding.path))

    def _tick(self, key: tuple[str, str]) -> None:
        if self._tally is not None:
            count, sample = self._tally[key]
            self._tally[key] = (count + 1, sample)

    def _finding(
        self, spot: _Spot, start: int, body: bytes, position: Position, event_id: str | None
    ) -> Finding:
        place = body[spot.start : spot.end]
        code, path, reason, _ = astuple(spot.violation)
        return Finding(
            file=self._file,
            position=position,
            end=position.after(place) if place else Position(position.line, position.column + 1),
            code=code,
            path=path,
            reason=_clip(_ORJSON_PLACE.sub("", reason)),
            event_id=event_id,
            snippet=_snippet(self._block.data, start + spot.start, start + spot.end),
        )


def _spots(body: bytes, verdict: Verdict) -> Iterator[_Spot]:
    """Where an event breaks the rules; not in the order of its text."""
    text = body.removeprefix(BYTE_ORDER_MARK)
    shift = len(body) - len(text)
    found: dict[tuple[str, bool], list[ValueSpan]] = {}
    for violation in verdict.violations:
        duplicate = violation.code == DUPLICATE_KEY
        if violation.offset is not None:
            start = violation.offset
            end = _character_end(body, start)
        elif violation.code == TOO_LARGE:
            start, end = 0, _character_end(body, 0)
        elif violation.code == NOT_JSON:
            start = shift + (offset_deeper_than(text, MAX_DEPTH) or 0)
            end = start + 1
        else:
            if not found:
                for place in value_spans(text):
                    found.setdefault((place.pointer, place.duplicate), []).append(place)
            place = found[violation.path, duplicate][0]
            start, end = place.start + shift, place.end + shift
            if duplicate and place.key_start is not None:
                start = place.key_start + shift
                # A key can stand three times, and each time counts.
                del found[violation.path, duplicate][0]
        yield _Spot(start, end, violation)


def _character_end(text: bytes, start: int) -> int:
    """Where the character at `start` ends."""
    end = start + 1
    while end < len(text) and text[end] & 0xC0 == 0x80:
        end += 1
    return end


def _snippet(text: bytes, start: int, end: int) -> Snippet:
    """The part of the line around bytes `start` to `end`, without what follows in further lines."""
    first = max(text.rfind(b"\n", 0, start) + 1, start - _SNIPPET)
    while first < start and text[first] & 0xC0 == 0x80:
        first += 1
    line_end = text.find(b"\n", start)
    last = min(len(text) if line_end < 0 else line_end, start + 2 * _SNIPPET)
    before, place, after = (
        text[from_:to].decode(errors="replace")
        for from_, to in (
            (first, start),
            (start, min(end, last)),
            (max(start, min(end, last)), last),
        )
    )
    shown = f"{before}{place}{after}".rstrip("\r")
    return Snippet(shown, len(before), len(before) + max(1, len(place)))


def _clip(reason: str) -> str:
    return reason if len(reason) <= MAX_REASON else reason[: MAX_REASON - 1] + "…"
