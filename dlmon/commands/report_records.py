"""Answers of `dlmon report` for programs, which the page gets too: CSV, NDJSON and JSON."""

from __future__ import annotations

import csv
import json
from typing import IO, Any

from dlmon.analysis.anomalies import Anomaly
from dlmon.analysis.hours import format_hour
from dlmon.analysis.report import Row
from dlmon.commands.report import AnomalyReport, Report
from dlmon.runtime.text import escape_json

FIELDS = (
    "key",
    "label",
    "count",
    "bytes",
    "speeds",
    "p10_mbit",
    "p50_mbit",
    "p90_mbit",
    "share_below",
    "size_p50_bytes",
)
"""The columns of CSV, and the members of each JSON object."""

ANOMALY_FIELDS = (
    "kind",
    "country",
    "cell",
    "since",
    "until",
    "now",
    "usual",
    "ratio",
    "count",
    "weeks",
    "only_mix",
    "visible_drop",
)
"""The same for anomalies. now, usual: Mbit/s, or downloads an hour. weeks: of the baseline; 0 is
yesterday."""


def write_csv(report: Report, file: IO[str]) -> None:
    """A line of names, and a line for each row; empty where there are too few downloads."""
    writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(to_record(report, row) for row in report.answer.rows)


def write_ndjson(report: Report, file: IO[str]) -> None:
    """One JSON object a line, for each row."""
    for row in report.answer.rows:
        file.write(_json(to_record(report, row)))


def write_json(report: Report, file: IO[str]) -> None:
    """One JSON object: the question, the rows, and all of it together."""
    file.write(_json(to_document(report)))


def to_document(report: Report) -> dict[str, Any]:
    """What `write_json` writes."""
    answer = report.answer
    question = answer.question
    return {
        "since": format_hour(question.start),
        "until": format_hour(question.end),
        "by": question.by,
        "where": {
            name: value
            for name in ("country", "continent", "cell")
            if (value := getattr(question.where, name)) is not None
        },
        "threshold_mbit": question.threshold,
        "exact": answer.exact,
        "hidden_cells": answer.hidden,
        "total": to_record(report, answer.total),
        "rows": [to_record(report, row) for row in answer.rows],
    }


def write_anomalies(report: AnomalyReport, output: str, file: IO[str]) -> None:
    """Anomalies as csv, ndjson or json."""
    document = to_anomalies_document(report)
    records = document["anomalies"]
    if output == "csv":
        writer = csv.DictWriter(file, ANOMALY_FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)
    elif output == "ndjson":
        file.writelines(map(_json, records))
    else:
        file.write(_json(document))


def to_anomalies_document(report: AnomalyReport) -> dict[str, Any]:
    """What `write_anomalies` writes as json."""
    return {
        "since": format_hour(report.start),
        "until": format_hour(report.end),
        "tests": report.anomalies.tests,
        "weeks": report.anomalies.weeks,
        "anomalies": [_anomaly(one) for one in report.anomalies.found],
    }


def _anomaly(one: Anomaly) -> dict[str, Any]:
    values = (
        str(one.kind),
        one.group.country,
        one.group.cell,
        format_hour(one.since),
        format_hour(one.until),
        float(f"{one.now:.4g}"),
        float(f"{one.before:.4g}"),
        float(f"{one.ratio:.4g}"),
        one.count,
        one.weeks,
        one.only_mix,
        None if one.visible_drop is None else float(f"{one.visible_drop:.2g}"),
    )
    return dict(zip(ANOMALY_FIELDS, values, strict=True))


def to_record(report: Report, row: Row) -> dict[str, Any]:
    """A row by `FIELDS`: numbers that are not exact have four digits, which is all that is known.

    The key of an hour or a day is its time.
    """
    exact = report.answer.exact

    def rounded(value: float | None) -> float | None:
        return value if exact or value is None else float(f"{value:.4g}")

    return dict(
        zip(
            FIELDS,
            (
                row.label if isinstance(row.key, int) else row.key,
                row.label,
                row.count,
                row.volume,
                row.measured,
                rounded(row.p10),
                rounded(row.p50),
                rounded(row.p90),
                rounded(row.below),
                None if row.size is None else round(row.size),
            ),
            strict=True,
        )
    )


def _json(value: Any) -> str:
    return escape_json(json.dumps(value, ensure_ascii=False)) + "\n"
