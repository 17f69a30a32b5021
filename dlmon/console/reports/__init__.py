"""How `validate-file` reports findings, for people and for machines, while it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
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

    def on_end(self, result: Result, /) -> None:
        """Called at the end."""


class NoReport:
    """A report that writes nothing."""

    def on_findings(self, findings: Sequence[Finding]) -> None:
        """Do nothing."""

    def on_file_end(self, result: FileResult) -> None:
        """Do nothing."""

    def on_end(self, result: Result) -> None:
        """Do nothing."""


def machine_report(output: Output, file: IO[str]) -> FinalReport:
    """The report for an output that is not for people."""
    from dlmon.console.reports.github import GithubReport
    from dlmon.console.reports.junit import JunitReport
    from dlmon.console.reports.records import JsonReport, NdjsonReport
    from dlmon.console.reports.sarif import SarifReport

    reports: dict[Output, Callable[[IO[str]], FinalReport]] = {
        Output.JSON: JsonReport,
        Output.NDJSON: NdjsonReport,
        Output.GITHUB: GithubReport,
        Output.SARIF: SarifReport,
        Output.JUNIT: JunitReport,
    }
    return reports[output](file)
