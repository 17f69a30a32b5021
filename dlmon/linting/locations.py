"""Where in the text of an event its violations are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from dlmon.linting.findings import Snippet
from dlmon.validation.data_formats import BYTE_ORDER_MARK
from dlmon.validation.json_positions import ValueSpan, offset_deeper_than, value_spans
from dlmon.validation.validator import MAX_DEPTH
from dlmon.validation.violations import DUPLICATE_KEY, NOT_JSON, TOO_LARGE, Verdict, Violation

_SNIPPET_BYTES = 160  # on each side of a violation


class Location(NamedTuple):
    """Bytes `start` to `end` of an event, exclusive, break a rule."""

    start: int
    end: int
    violation: Violation


def locate(body: bytes, verdict: Verdict) -> Iterator[Location]:
    """The location of each violation, in the order of the verdict."""
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
                for span in value_spans(text):
                    found.setdefault((span.pointer, span.duplicate), []).append(span)
            span = found[violation.path, duplicate][0]
            start, end = span.start + shift, span.end + shift
            if duplicate and span.key_start is not None:
                start = span.key_start + shift
                # A key that stands three times has two violations, each with its own location.
                del found[violation.path, duplicate][0]
        yield Location(start, end, violation)


def snippet(text: bytes, start: int, end: int) -> Snippet:
    """The line around bytes `start` to `end`, cut to a length that a report can show. Of several
    lines, the first."""
    first = max(text.rfind(b"\n", 0, start) + 1, start - _SNIPPET_BYTES)
    while first < start and text[first] & 0xC0 == 0x80:
        first += 1
    line_end = text.find(b"\n", start)
    last = min(len(text) if line_end < 0 else line_end, start + 2 * _SNIPPET_BYTES)
    shown_end = min(end, last)
    before, marked, after = (
        text[from_:to].decode(errors="replace")
        for from_, to in ((first, start), (start, shown_end), (max(start, shown_end), last))
    )
    shown = f"{before}{marked}{after}".rstrip("\r")
    return Snippet(shown, len(before), len(before) + max(1, len(marked)))


def _character_end(text: bytes, start: int) -> int:
    """Where the character at `start` ends."""
    end = start + 1
    while end < len(text) and text[end] & 0xC0 == 0x80:
        end += 1
    return end
