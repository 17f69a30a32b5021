"""Findings as JUnit XML, which most CI services show as test results."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import IO

from dlmon.commands.validate_file import FileResult, Result
from dlmon.console.reports.spool import Spool
from dlmon.console.text import safe
from dlmon.linting.findings import Finding
from dlmon.validation.violations import describe_rule

_REPEATED = "event ids"


class JunitReport:
    """A suite for each file, with a failure for each finding, or one test that passed.

    A suite begins with the number of its failures, so its findings are kept until the file ends.
    """

    omitted = 0

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._cases = Spool()
        self._count = 0
        file.write('<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="dlmon">\n')

    def on_findings(self, findings: Sequence[Finding]) -> None:
        self._count += len(findings)
        for finding in findings:
            self._cases.write(_case(finding))

    def on_file_end(self, result: FileResult) -> None:
        error = ""
        if result.error is not None:
            text = _attribute(str(result.error))
            error = (
                f"    <testcase name={_attribute(result.file)}><error message={text}/></testcase>\n"
            )
        self._suite(result.file, error)

    def on_end(self, _result: Result, /) -> None:
        if self._count:
            self._suite(_REPEATED, "")
        self._cases.close()
        self._file.write("</testsuites>\n")

    def _suite(self, name: str, error: str) -> None:
        failures = self._count
        if not failures and not error:
            self._cases.write(f"    <testcase name={_attribute(name)}/>\n")
        tests = failures + (not failures or bool(error))
        self._file.write(
            f'  <testsuite name={_attribute(name)} tests="{tests}" failures="{failures}"'
            f' errors="{int(bool(error))}">\n'
        )
        self._file.writelines(self._cases.drain())
        self._file.write(f"{error}  </testsuite>\n")
        self._count = 0


def _case(finding: Finding) -> str:
    begin = finding.position
    where = f"{finding.file}:{begin.line}:{begin.column}"
    what = describe_rule(finding.code, finding.path)
    return (
        f"    <testcase name={_attribute(f'{where}: {what}')} file={_attribute(finding.file)}"
        f' line="{begin.line}"><failure type={_attribute(finding.code)}'
        f" message={_attribute(finding.reason)}>{escape(safe(f'{where}: {what}'))}</failure>"
        "</testcase>\n"
    )


def _attribute(text: str) -> str:
    # XML has no way to write most control characters: they are spelled out.
    return f'"{escape(safe(text))}"'
