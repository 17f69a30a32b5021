"""One reject as text: its event with the places that are wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dlmon.rejects.marks import Mark, find_marks
from dlmon.rejects.rejection import Rejection
from dlmon.runtime.timestamps import to_rfc3339
from dlmon.validation.json_positions import indent
from dlmon.validation.validator import Validator
from dlmon.validation.violations import Violation

MAX_TEXT = 100_000
"""Bytes of an event that are shown; an export has all of it."""

_PREVIEW = 200


def message_record(rejection: Rejection, validator: Validator) -> dict[str, Any]:
    """Everything about a reject. Spans are in characters (code points) of `body`."""
    verdict = validator.validate(rejection.body)
    if verdict.value is not None:
        text = indent(rejection.body)
        marks = find_marks(text, rejection.violations)
    else:
        text = rejection.body
        marks = [
            Mark(one.offset, one.offset + 1, one)
            for one in verdict.violations
            if one.offset is not None
        ]
    return {
        "body": shown(text[:MAX_TEXT]),
        "more_bytes": max(0, len(text) - MAX_TEXT),
        "spans": [_span(text, mark) for mark in marks if mark.end <= MAX_TEXT],
        "violations": violation_records(rejection.violations),
        "origin": rejection.origin or None,
        "headers": dict(rejection.headers or {}),
        "message_id": rejection.message_id,
        "rejected_at": _time(rejection.rejected_at),
        "rejected_by": rejection.rejected_by or None,
        "published_at": _time(rejection.published_at),
        "schema": rejection.schema,
        "replays": rejection.replays,
        "bytes": len(rejection.body),
    }


def violation_records(violations: Sequence[Violation]) -> list[dict[str, str]]:
    return [{"code": one.code, "path": one.path, "reason": one.reason} for one in violations]


def shown(body: bytes) -> str:
    """Bytes as text; what is no UTF-8 comes as the replacement character."""
    return body.decode(errors="replace")


def preview(body: bytes) -> str:
    """The beginning of a body."""
    return shown(body[:_PREVIEW])


def _span(text: bytes, mark: Mark) -> dict[str, Any]:
    start = len(shown(text[: mark.start]))
    return {
        "start": start,
        "end": start + max(1, len(shown(text[mark.start : mark.end]))),
        "pointer": mark.violation.path,
        "code": mark.violation.code,
        "reason": mark.violation.reason,
    }


def _time(at: int | None) -> str | None:
    return None if at is None else to_rfc3339(at)
