"""Rejections in a file: NDJSON, one a line. It is written as gzip where its name ends in `.gz`, and
read by what it holds.

The fields are stable, and the same that `inspect-rejects --json` prints:

| field                            | value                                                         |
|----------------------------------|---------------------------------------------------------------|
| message_id                       | text                                                          |
| code, path, reason               | of the first violation                                        |
| rejected_at, published_at        | RFC 3339 in UTC with milliseconds, or null                    |
| rejected_by, schema, origin      | text, empty where it is unknown                               |
| replays                          | how often it was replayed                                     |
| violations                       | all of them: [{"code", "path", "reason"}, ...]                |
| headers                          | what was kept of the message's own headers                    |
| content_type, correlation_id     | text or null                                                  |
| content_encoding, type, app_id   | text or null                                                  |
| packed_in, place                 | id of the message that it came in with others, and its place |
|                                  | there, from 1; else empty and null                            |
| raw_headers                      | hex of a header table that could not be decoded, else empty   |
| body, or body_base64             | the exact bytes: as text where they are UTF-8, else in Base64 |

Reading needs `message_id`, `violations` and a body: a line can be edited, and written by hand.
"""

from __future__ import annotations

import base64
import gzip
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from dlmon.errors import FileError
from dlmon.event import MAX_MESSAGE_ID
from dlmon.event_files.input import Input
from dlmon.rejects.headers import (
    MAX_COUNT,
    MAX_RAW_HEADERS,
    MAX_REASON,
    MAX_SHORT_TEXT,
    clip,
    kept_headers,
    time_or_none,
)
from dlmon.rejects.rejection import Rejection
from dlmon.runtime.closeable import Closeable
from dlmon.runtime.files import fsync_folder
from dlmon.runtime.stdio import write_all
from dlmon.runtime.stop import Stop
from dlmon.runtime.timestamps import from_rfc3339, to_rfc3339
from dlmon.validation.duplicate_keys import duplicate_keys, may_have_duplicate_keys
from dlmon.validation.validator import MAX_VIOLATIONS
from dlmon.validation.violations import Violation


def to_record(rejection: Rejection) -> dict[str, Any]:
    """A rejection as one JSON object, with the fields above."""
    record: dict[str, Any] = {
        "message_id": rejection.message_id,
        "code": rejection.code,
        "path": rejection.path,
        "reason": rejection.reason,
        "rejected_at": _to_rfc3339(rejection.rejected_at),
        "published_at": _to_rfc3339(rejection.published_at),
        "rejected_by": rejection.rejected_by,
        "schema": rejection.schema,
        "origin": rejection.origin,
        "replays": rejection.replays,
        "violations": [
            {"code": violation.code, "path": violation.path, "reason": violation.reason}
            for violation in rejection.violations
        ],
        "headers": dict(rejection.headers or {}),
        "content_type": rejection.content_type,
        "correlation_id": rejection.correlation_id,
        "content_encoding": rejection.content_encoding,
        "type": rejection.type,
        "app_id": rejection.app_id,
        "packed_in": rejection.packed_in,
        "place": rejection.place,
        "raw_headers": rejection.raw_headers,
    }
    try:
        record["body"] = rejection.body.decode()
    except UnicodeDecodeError:
        record["body_base64"] = base64.b64encode(rejection.body).decode()
    return record


def to_line(rejection: Rejection) -> bytes:
    """A rejection as one line of NDJSON."""
    return orjson.dumps(to_record(rejection), option=orjson.OPT_APPEND_NEWLINE)


def from_record(record: object) -> Rejection:
    """The rejection of a parsed line.

    Raises: ValueError that says which field is missing or wrong.
    """
    message_id = _field(record, "message_id", str)
    if not 0 < len(message_id.encode()) <= MAX_MESSAGE_ID:
        raise ValueError(f"message_id must have 1 to {MAX_MESSAGE_ID} bytes")
    violations = tuple(map(_violation, _field(record, "violations", list)[:MAX_VIOLATIONS]))
    if not violations:
        raise ValueError("violations is empty")
    return Rejection(
        message_id=message_id,
        body=_body(record),
        violations=violations,
        schema=_text(record, "schema", MAX_REASON),
        origin=_text(record, "origin", 2 * MAX_SHORT_TEXT),
        rejected_at=_milliseconds(record, "rejected_at"),
        rejected_by=_text(record, "rejected_by", MAX_SHORT_TEXT),
        replays=_replays(record),
        published_at=_milliseconds(record, "published_at"),
        headers=kept_headers(_field(record, "headers", dict, {})),
        content_type=_property(record, "content_type"),
        correlation_id=_property(record, "correlation_id"),
        raw_headers=_text(record, "raw_headers", MAX_RAW_HEADERS),
        content_encoding=_property(record, "content_encoding"),
        type=_property(record, "type"),
        app_id=_property(record, "app_id"),
        packed_in=_text(record, "packed_in", MAX_MESSAGE_ID),
        place=_place(record),
    )


class RejectsFile(Closeable):
    """A new file that rejections are written to. Use as a context manager."""

    def __init__(self, path: Path) -> None:
        """Raises: FileError when the file exists: it may be the only copy of what it holds."""
        self.path = path
        try:
            self._file = path.open("xb", buffering=0)
            fsync_folder(path.absolute().parent)
        except FileExistsError as error:
            raise FileError(f"{path} exists already: name a new file to export to.") from error
        except OSError as error:
            raise self._failed(error) from error
        self._compressed = path.suffix == ".gz"
        if self._compressed:
            # An empty file is no gzip data: this one is read also if nothing is ever written to it.
            self._write(gzip.compress(b""))

    def write(self, rejections: Sequence[Rejection]) -> None:
        """Write rejections, safe once `sync` has returned.

        Raises: FileError.
        """
        lines = b"".join(map(to_line, rejections))
        # A gzip member of its own each time: what was synced can be read, also when the process is
        # killed later (RFC 1952 section 2.2: members simply follow each other).
        self._write(gzip.compress(lines) if self._compressed else lines)

    def sync(self) -> None:
        """Return once the disk has everything written so far.

        Raises: FileError.
        """
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        self._file.close()

    def _write(self, data: bytes) -> None:
        try:
            write_all(self._file.fileno(), data)
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> FileError:
        return FileError(f"Cannot write {self.path}: {error.strerror}.")


def read_rejects(path: Path, stop: Stop | None = None) -> Iterator[Rejection]:
    """The rejections in a file, `-` for stdin. stop: a stop request ends them early.

    Raises: FileError that names the line, when it gets there.
    """
    with Input(path, stop) as file:
        for number, line in enumerate(file.lines(), start=1):
            if line.strip():
                yield _from_line(line, f"{file.name}:{number}")


def _from_line(line: bytes, where: str) -> Rejection:
    try:
        record = orjson.loads(line)
        _refuse_duplicate_keys(line, record)
        return from_record(record)
    except (ValueError, orjson.JSONEncodeError) as error:
        raise FileError(f"{where}: {error}.") from error


def _refuse_duplicate_keys(line: bytes, record: object) -> None:
    """A parser keeps one of two equal keys, and it may not be the one that was meant.

    Raises: ValueError. orjson.JSONEncodeError for a line that is nested too deeply.
    """
    if may_have_duplicate_keys(line, record):
        for pointer in duplicate_keys(line):
            raise ValueError(f"the key {pointer} stands more than once")


_REQUIRED = object()


def _field(record: object, name: str, kind: type, default: Any = _REQUIRED) -> Any:
    if not isinstance(record, dict):
        raise ValueError("expected a JSON object")  # noqa: TRY004  (data is bad, not the program)
    value = record.get(name, default)
    if value is _REQUIRED:
        raise ValueError(f"{name} is missing")
    if value is not default and type(value) is not kind:
        raise ValueError(f"{name} must be of type {kind.__name__}")
    return value


def _text(record: object, name: str, limit: int) -> str:
    """A text that only people read, in the bounds that it has as a header."""
    return clip(_field(record, name, str, ""), limit)


def _violation(item: object) -> Violation:
    code, path, reason = (_field(item, name, str) for name in ("code", "path", "reason"))
    return Violation(clip(code, MAX_SHORT_TEXT), clip(path, MAX_REASON), clip(reason, MAX_REASON))


def _property(record: object, name: str) -> str | None:
    """A property that AMQP carries as a short string."""
    text: str | None = _field(record, name, str, None)
    if text is not None and len(text.encode(errors="replace")) > MAX_SHORT_TEXT:
        raise ValueError(f"{name} must have at most {MAX_SHORT_TEXT} bytes")
    return text


def _body(record: object) -> bytes:
    encoded: str | None = _field(record, "body_base64", str, None)
    if encoded is not None:
        if isinstance(record, dict) and record.get("body") is not None:
            raise ValueError("body and body_base64 are both given: leave one out")
        return base64.b64decode(encoded, validate=True)
    body: str = _field(record, "body", str)
    return body.encode()


def _replays(record: object) -> int:
    replays: int = _field(record, "replays", int, 0)
    if not 0 <= replays <= MAX_COUNT:
        raise ValueError("replays must not be negative" if replays < 0 else "replays is too large")
    return replays


def _place(record: object) -> int | None:
    place: int | None = _field(record, "place", int, None)
    if place is not None and not 0 < place <= MAX_COUNT:
        raise ValueError("place must be a whole number from 1")
    return place


def _milliseconds(record: object, name: str) -> int | None:
    text: str | None = _field(record, name, str, None)
    if text is None:
        return None
    at = time_or_none(from_rfc3339(text))
    if at is None:
        raise ValueError(f"{name} must be in the years 1970 to 9999")
    return at


def _to_rfc3339(at: int | None) -> str | None:
    return None if at is None else to_rfc3339(at)
