"""What `validate-file` says, for people and for machines, while it goes on."""

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
    """A report that ends with what everything came to."""

    def finish(self, result: Result, /) -> None:
        """There is nothing more to come."""


class Silence:
    """A report that says nothing."""

    def found(self, findings: Sequence[Finding]) -> None:
        """Nothing."""

    def ended(self, result: FileResult) -> None:
        """Nothing."""

    def finish(self, result: Result) -> None:
        """Nothing."""


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
