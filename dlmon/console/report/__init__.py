"""Answers about downloads, for people and for programs."""

from __future__ import annotations

import sys

from dlmon.commands.report import Report
from dlmon.console.report.records import write_csv, write_json, write_ndjson
from dlmon.console.report.text import show_text


def show_report(report: Report, output: str) -> None:
    """Write an answer to stdout. output: one of text, csv, ndjson and json."""
    if output == "text":
        show_text(report)
        return
    write = {"csv": write_csv, "ndjson": write_ndjson, "json": write_json}[output]
    write(report, sys.stdout)
