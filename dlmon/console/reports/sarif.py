"""Findings as SARIF 2.1.0 (OASIS), which code scanning services read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from dlmon import __version__
from dlmon.commands.validate_file import FileResult, Result
from dlmon.console.reports.paths import RepositoryPaths
from dlmon.console.reports.records import as_json
from dlmon.linting.findings import Finding
from dlmon.validation.violations import describe_rule

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)

MAX_RESULTS = 25_000
"""Results of one run. GitHub refuses a file with more."""


class SarifReport:
    """One run. Its results are written as they come, its other members at the end.

    `omitted` counts the findings beyond `MAX_RESULTS`, which are not written.
    """

    def __init__(self, file: IO[str], root: Path) -> None:
        self.omitted = 0
        self._written = 0
        self._paths = RepositoryPaths(root)
        self._file = file
        self._rules: dict[str, None] = {}
        self._notifications: list[dict[str, Any]] = []
        self._separator = "\n"
        file.write(f'{{"version":"2.1.0","$schema":"{_SCHEMA}","runs":[{{"results":[')

    def on_findings(self, findings: Sequence[Finding]) -> None:
        room = MAX_RESULTS - self._written
        for finding in findings[:room]:
            self._rules.setdefault(finding.code)
            result = _result(finding, _uri(self._paths.of(finding.file)))
            self._file.write(self._separator + as_json(result))
            self._separator = ",\n"
        self._written += len(findings[:room])
        self.omitted += len(findings[room:])

    def on_file_end(self, result: FileResult) -> None:
        if result.error is not None:
            location = {
                "artifactLocation": {"uri": _uri(self._paths.of(result.file))},
                "region": {"startLine": result.line},
            }
            self._notifications.append(
                {
                    "level": "error",
                    "message": {"text": str(result.error)},
                    "locations": [{"physicalLocation": location}],
                }
            )

    def on_end(self, result: Result) -> None:
        if self.omitted:
            text = f"{self.omitted:,} more findings left out: GitHub takes {MAX_RESULTS:,}."
            self._notifications.append({"level": "warning", "message": {"text": text}})
        rules = [
            {"id": code, "shortDescription": {"text": f"Events must not break the rule {code!r}."}}
            for code in self._rules
        ]
        rest = {
            "columnKind": "unicodeCodePoints",
            "tool": {"driver": {"name": "dlmon", "version": __version__, "rules": rules}},
            "invocations": [
                {
                    "executionSuccessful": result.complete and not result.unreadable,
                    "toolExecutionNotifications": self._notifications,
                }
            ],
        }
        self._file.write(f"\n],{as_json(rest)[1:]}]}}\n")


def _result(finding: Finding, uri: str) -> dict[str, Any]:
    region = {
        "startLine": finding.position.line,
        "startColumn": finding.position.column,
        "endLine": finding.end.line,
        "endColumn": finding.end.column,
    }
    logical = [{"fullyQualifiedName": finding.path}] if finding.path else []
    return {
        "ruleId": finding.code,
        "level": "error",
        "message": {"text": f"{describe_rule(finding.code, finding.path)}: {finding.reason}"},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": uri},
                    "region": region,
                },
                "logicalLocations": logical,
            }
        ],
        "properties": {"event_id": finding.event_id},
    }


def _uri(file: str) -> str:
    return Path(file).as_uri() if file.startswith("/") else quote(file)
