"""How `validate-file` reports findings, for people and for machines, while it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import IO, Protocol

from dlmon.commands.validate_file import FileResult, Report, Result
from dlmon.linting.findings import Finding


class Output(StrEnum):
    """How findings are written to stdout."""

    TEXT = "text"
    JSON = "json"
    NDJSON = "ndjson"
    GITHUB = "github"
    SARIF = "sarif"
    JUNIT = "junit"


class FinalReport(Report, Protocol):
    """A report that ends with the result of all files."""

    @property
    def omitted(self) -> int:
        """Findings that the format has no room for."""

    def on_end(self, result: Result, /) -> None:
        """Called at the end."""


class NoReport:
    """A report that writes nothing."""

    omitted = 0

    def on_findings(self, findings: Sequence[Finding]) -> None:
        """Do nothing."""

    def on_file_end(self, result: FileResult) -> None:
        """Do nothing."""

    def on_end(self, result: Result) -> None:
        """Do nothing."""


def machine_report(output: Output, file: IO[str], root: Path) -> FinalReport:
    """The report for an output that is not for people. root: of the repository."""
    from dlmon.console.reports.github import GithubReport
    from dlmon.console.reports.junit import JunitReport
    from dlmon.console.reports.records import JsonReport, NdjsonReport
    from dlmon.console.reports.sarif import SarifReport

    if output is Output.GITHUB:
        return GithubReport(file, root)
    if output is Output.SARIF:
        return SarifReport(file, root)
    reports: dict[Output, Callable[[IO[str]], FinalReport]] = {
        Output.JSON: JsonReport,
        Output.NDJSON: NdjsonReport,
        Output.JUNIT: JunitReport,
    }
    return reports[output](file)
