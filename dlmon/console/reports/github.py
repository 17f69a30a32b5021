"""Findings as annotations on GitHub: workflow commands on stdout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import IO

from dlmon.commands.validate_file import FileResult, Result
from dlmon.console.reports.paths import RepositoryPaths
from dlmon.linting.findings import Finding
from dlmon.runtime.text import escape
from dlmon.validation.violations import describe_rule

_IN_MESSAGE = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_IN_PROPERTY = _IN_MESSAGE | str.maketrans({":": "%3A", ",": "%2C"})


class GithubReport:
    """An annotation for each finding. Of these, GitHub shows the first ten of a step."""

    omitted = 0

    def __init__(self, file: IO[str], root: Path) -> None:
        self._file = file
        self._paths = RepositoryPaths(root)

    def on_findings(self, findings: Sequence[Finding]) -> None:
        for finding in findings:
            begin, end = finding.position, finding.end
            self._write(
                finding.reason,
                file=self._paths.of(finding.file),
                line=begin.line,
                endLine=end.line,
                col=begin.column,
                endColumn=end.column,
                title=describe_rule(finding.code, finding.path),
            )

    def on_file_end(self, result: FileResult) -> None:
        if result.error is not None:
            self._write(str(result.error), file=self._paths.of(result.file), line=result.line)

    def on_end(self, result: Result) -> None:
        """Do nothing: annotations are all there is."""

    def _write(self, message: str, **properties: str | int) -> None:
        written = ",".join(
            f"{name}={str(value).translate(_IN_PROPERTY)}" for name, value in properties.items()
        )
        self._file.write(escape(f"::error {written}::{message.translate(_IN_MESSAGE)}") + "\n")
