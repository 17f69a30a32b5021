"""Answers about downloads, for people and for programs."""

from __future__ import annotations

import sys

from dlmon.commands.report import AnomalyReport, Report
from dlmon.commands.report_records import write_anomalies, write_csv, write_json, write_ndjson
from dlmon.console.report.anomalies import show_anomalies_as_text
from dlmon.console.report.html import write_html
from dlmon.console.report.text import show_text
from dlmon.console.report.world_map import show_map


def show_report(report: Report, output: str) -> None:
    """Write an answer to stdout. output: one of text, csv, ndjson, json and html."""
    if output == "text":
        show_text(report)
        if report.speeds is not None:
            show_map(report.speeds)
        return
    write = {
        "csv": write_csv,
        "ndjson": write_ndjson,
        "json": write_json,
        "html": write_html,
    }[output]
    write(report, sys.stdout)


def show_anomalies(report: AnomalyReport, output: str) -> None:
    """Write anomalies to stdout. output: one of text, csv, ndjson and json."""
    if output == "text":
        show_anomalies_as_text(report)
    else:
        write_anomalies(report, output, sys.stdout)
