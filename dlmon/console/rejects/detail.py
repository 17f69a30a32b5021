"""One reject on a screen: everything known of it, and its event with every violation marked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from rich.cells import cell_len
from rich.text import Text

from dlmon.console.lines import print_line, stdout
from dlmon.console.text import safe
from dlmon.rejects.marks import find_marks
from dlmon.rejects.rejection import Rejection
from dlmon.runtime.timestamps import to_rfc3339
from dlmon.validation.json_positions import indent
from dlmon.validation.violations import Verdict, Violation, describe_rule

MAX_LINES = 400
"""Lines of one event that are shown; `--export` has all of it."""

_MAX_TEXT = 4096  # bytes of a body that is not JSON, around the place where it stops being JSON
_MAX_HEX = 512
_HEX_ROW = 16
_MARGIN = "  "
_MIN_WIDTH = 8  # bytes of a line of text, however narrow a terminal says it is
_UNCUT = 1 << 30


class _Mark(NamedTuple):
    """Bytes `start` to `end` of a text, exclusive, that `text` is about."""

    start: int
    end: int
    text: str


def show_rejection(rejection: Rejection, verdict: Verdict) -> None:
    """Show everything about one reject. verdict: of its body, now."""
    console = stdout()
    for name, value in _facts(rejection):
        print_line(console, Text(f"{name:<14}", "dim").append(safe(value), "not dim"), wrap=True)
    count = len(rejection.violations)
    print_line(console, Text(f"\n{count} violations" if count > 1 else "\n1 violation", "bold"))
    for violation in rejection.violations:
        line = Text("  ").append(safe(describe_rule(violation.code, violation.path)), "yellow")
        print_line(console, line.append(f": {safe(violation.reason)}"), wrap=True)
    print_line(console, Text())
    width = max(_MIN_WIDTH, console.width - len(_MARGIN)) if console.is_terminal else _UNCUT
    for line in _body(rejection, verdict, width):
        print_line(console, line)


def _facts(rejection: Rejection) -> Iterator[tuple[str, str]]:
    yield "message id", rejection.message_id
    if rejection.rejected_at is not None:
        by = f" by {rejection.rejected_by}" if rejection.rejected_by else ""
        yield "rejected", to_rfc3339(rejection.rejected_at) + by
    if rejection.published_at is not None:
        yield "published", to_rfc3339(rejection.published_at)
    yield "origin", rejection.origin
    if rejection.place is not None:
        yield "place", f"event {rejection.place:,} of the message {rejection.packed_in}"
    yield "schema", rejection.schema
    yield "replays", str(rejection.replays)
    if rejection.content_type:
        yield "content type", rejection.content_type
    if rejection.correlation_id:
        yield "correlation", rejection.correlation_id
    if rejection.content_encoding:
        yield "encoding", rejection.content_encoding
    if rejection.type:
        yield "type", rejection.type
    if rejection.app_id:
        yield "app id", rejection.app_id
    for name, value in (rejection.headers or {}).items():
        yield "header", f"{name}: {value}"
    if rejection.raw_headers:
        yield "raw headers", rejection.raw_headers
    yield "size", f"{len(rejection.body):,} bytes"


def _body(rejection: Rejection, verdict: Verdict, width: int) -> Iterator[Text]:
    body = rejection.body
    if verdict.value is not None:
        text = indent(body)
        return _lines(text, _marks(text, rejection.violations), width)
    stopped = [
        _Mark(one.offset, one.offset + 1, f"{one.code}: {one.reason}")
        for one in verdict.violations
        if one.offset is not None
    ]
    try:
        body.decode()
    except UnicodeDecodeError:
        return _part(body, stopped, _MAX_HEX, _hex)
    return _part(body, stopped, _MAX_TEXT, partial(_lines, width=width))


def _marks(text: bytes, violations: Sequence[Violation]) -> list[_Mark]:
    return [
        _Mark(start, end, f"{violation.code}: {violation.reason}")
        for start, end, violation in find_marks(text, violations)
    ]


def _part(
    body: bytes,
    marks: Sequence[_Mark],
    limit: int,
    show: Callable[[bytes, Sequence[_Mark]], Iterator[Text]],
) -> Iterator[Text]:
    """Up to `limit` bytes of a body, those around its first mark."""
    middle = marks[0].start if marks else 0
    first = max(0, middle - limit // 2) // _HEX_ROW * _HEX_ROW
    part = body[first : first + limit]
    if first:
        yield Text(f"  ... {first:,} bytes before: --export FILE has them.", "dim")
    yield from show(part, [_Mark(one.start - first, one.end - first, one.text) for one in marks])
    if rest := len(body) - first - len(part):
        yield Text(f"  ... {rest:,} bytes after: --export FILE has them.", "dim")


def _lines(text: bytes, marks: Sequence[_Mark], width: int) -> Iterator[Text]:
    """A text in lines of up to `width` bytes, each with the marks that begin in it below."""
    start = 0
    for number, line in enumerate(_cut(text, width)):
        if number == MAX_LINES:
            yield Text(f"{_MARGIN}... {len(text) - start:,} bytes after.", "dim")
            return
        yield Text(_MARGIN + _shown(line))
        end = start + len(line)
        for mark in marks:
            if start <= mark.start < end:
                before = cell_len(_shown(line[: mark.start - start]))
                marked = cell_len(_shown(line[mark.start - start : mark.end - start]))
                yield _pointer(len(_MARGIN) + before, max(1, marked), mark.text)
        start = end


def _cut(text: bytes, width: int) -> Iterator[bytes]:
    """A text in lines, with their ends, where long ones are cut between two characters."""
    for whole in text.split(b"\n"):
        line = whole
        while len(line) > width:
            at = width
            while at > 1 and line[at] & 0xC0 == 0x80:  # a byte inside of a character
                at -= 1
            yield line[:at]
            line = line[at:]
        yield line + b"\n"


def _hex(body: bytes, marks: Sequence[_Mark]) -> Iterator[Text]:
    for start in range(0, len(body), _HEX_ROW):
        row = body[start : start + _HEX_ROW]
        text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in row)
        yield Text(f"  {row.hex(' '):<{3 * _HEX_ROW}} {text}")
        for mark in marks:
            if start <= mark.start < start + _HEX_ROW:
                yield _pointer(2 + 3 * (mark.start - start), 2, mark.text)


def _pointer(column: int, width: int, text: str) -> Text:
    return Text(" " * column).append("^" * width, "bold red").append(f" {safe(text)}", "red")


def _shown(line: bytes) -> str:
    # A part of a text can begin within a character.
    return safe(line.rstrip(b"\n").decode(errors="replace"))
