"""Where an event is wrong: violations as places in its text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from dlmon.validation.json_positions import value_spans
from dlmon.validation.violations import DUPLICATE_KEY, Violation


class Mark(NamedTuple):
    """Bytes `start` to `end` of a text, exclusive, that break a rule."""

    start: int
    end: int
    violation: Violation


def find_marks(text: bytes, violations: Sequence[Violation]) -> list[Mark]:
    """Where a valid JSON text breaks the rules; nothing for a place that it does not have."""
    # By place, since a rejection from outside can name any number of places in a large event.
    spans = defaultdict(list)
    for span in value_spans(text):
        spans[span.pointer, span.duplicate].append(span)
    marks = []
    for violation in violations:
        duplicate = violation.code == DUPLICATE_KEY
        for span in spans[violation.path, duplicate]:
            # Of a key that stands twice, the key is wrong, not the value.
            start = span.start if span.key_start is None or not duplicate else span.key_start
            marks.append(Mark(start, span.end, violation))
    return marks
