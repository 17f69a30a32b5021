"""Findings as JSON: one document, or an object a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO, Any

import orjson

from dlmon.commands.validate_file import Counts, FileResult, Result
from dlmon.linting.findings import Finding
from dlmon.runtime.text import escape_json


class NdjsonReport:
    """A finding a line, as soon as it is known."""

    omitted = 0

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def on_findings(self, findings: Sequence[Finding]) -> None:
        self._file.writelines(f"{as_json(to_record(finding))}\n" for finding in findings)
        self._file.flush()

    def on_file_end(self, result: FileResult) -> None:
        """Do nothing: each line is a finding."""

    def on_end(self, result: Result) -> None:
        """Do nothing: each line is a finding."""


class JsonReport:
    """One document: the findings, each file with its counts, and all counts."""

    omitted = 0

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._files: list[dict[str, Any]] = []
        self._separator = "\n"
        file.write('{"findings":[')

    def on_findings(self, findings: Sequence[Finding]) -> None:
        for finding in findings:
            self._file.write(self._separator + as_json(to_record(finding)))
            self._separator = ",\n"

    def on_file_end(self, result: FileResult) -> None:
        error = None if result.error is None else str(result.error)
        self._files.append({"file": result.file, **_counts(result.counts), "error": error})

    def on_end(self, result: Result) -> None:
        groups = [
            {
                "code": group.code,
                "path": group.path,
                "findings": group.findings,
                "sample": to_record(group.sample),
            }
            for group in result.groups
        ]
        rest = {
            "groups": groups,
            "files": self._files,
            "summary": {
                **_counts(result.counts),
                "repeated": result.counts.repeated,
                "files": result.files,
                "unreadable": len(result.unreadable),
                "interrupted": not result.complete,
            },
        }
        self._file.write(f"\n],{as_json(rest)[1:]}\n")


def to_record(finding: Finding) -> dict[str, Any]:
    """A finding as a JSON object. Its fields are stable."""
    return {
        "file": finding.file,
        "line": finding.position.line,
        "column": finding.position.column,
        "end_line": finding.end.line,
        "end_column": finding.end.column,
        "code": finding.code,
        "path": finding.path,
        "reason": finding.reason,
        "event_id": finding.event_id,
    }


def as_json(value: Any) -> str:
    """JSON in one line, with nothing in it that a terminal could act on."""
    return escape_json(orjson.dumps(value).decode())


def _counts(counts: Counts) -> dict[str, int]:
    return {
        "events": counts.events,
        "valid": counts.valid,
        "invalid": counts.invalid,
        "findings": counts.findings,
        "hidden": counts.hidden,
    }
