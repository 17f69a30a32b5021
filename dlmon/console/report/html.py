"""An answer as one HTML file, to be sent and kept: charts, a map and a table, in light and dark.

It asks nothing of anybody: its policy (Content-Security-Policy) forbids scripts and every request.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from html import escape
from importlib.resources import files
from typing import IO

from dlmon.analysis.hours import format_hour
from dlmon.analysis.report import By, Row
from dlmon.commands.report import Report
from dlmon.commands.report_records import to_record
from dlmon.console.report.html_charts import ranges, time_series
from dlmon.console.report.html_map import world_map
from dlmon.console.report.numbers import HEADS, format_bytes, format_share, format_speed
from dlmon.console.report.text import notes
from dlmon.console.text import counted


def write_html(report: Report, file: IO[str]) -> None:
    """Write the whole document."""
    style = (files(__package__) / "report.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    question = report.answer.question
    title = f"Downloads by {question.by}"
    file.write(
        f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>{title}</h1>
<p>From {format_hour(question.start)} to {format_hour(question.end)}{_where(report)}. \
{_summary(report)}</p>
"""
    )
    file.writelines(_figures(report))
    file.writelines(_table(report))
    file.writelines(f'<p class="note">{escape(note)}</p>\n' for note in notes(report))
    file.write("</main>\n</body>\n</html>\n")


def _where(report: Report) -> str:
    where = report.answer.question.where
    parts = [
        f"{name} {value}"
        for name in ("country", "continent", "cell")
        if (value := getattr(where, name)) is not None
    ]
    return f", only {escape(' and '.join(parts))}" if parts else ""


def _summary(report: Report) -> str:
    """All of it together, in a sentence."""
    total = report.answer.total
    text = f"{counted(total.count, 'download')}, {format_bytes(total.volume)}"
    if total.p50 is None:
        return f"{text}."
    return (
        f"{text}: half of them were slower than <strong>{format_speed(total.p50)} Mbit/s</strong>, "
        f"a tenth slower than {format_speed(total.p10)}, a tenth faster than "
        f"{format_speed(total.p90)}."
    )


def _figures(report: Report) -> Iterator[str]:
    answer = report.answer
    if any(row.p50 for row in answer.rows):
        over_time = answer.question.by in (By.HOUR, By.DAY)
        chart = time_series(answer.rows) if over_time else ranges(answer.rows)
        yield _figure(chart, "Speed in Mbit/s: the median, and from p10 to p90.")
    if report.countries is not None and report.countries.rows:
        yield _figure(world_map(report.countries.rows), "Median speed by country, in Mbit/s.")


def _figure(drawing: str, caption: str) -> str:
    return f"<figure>\n{drawing}<figcaption>{caption}</figcaption>\n</figure>\n"


def _table(report: Report) -> Iterator[str]:
    """Every number as people read it, with that of `dlmon report --output json` beside it."""
    answer = report.answer
    threshold = answer.question.threshold
    heads = [HEADS[answer.question.by], "downloads", "bytes", "speeds", "p50 Mbit/s", "p10", "p90"]
    if threshold is not None:
        heads.append(f"below {threshold:g}")
    heads.append("size")
    yield '<div class="scroll" tabindex="0" role="region" aria-label="Table">\n<table>\n'
    yield f"<caption>Downloads by {answer.question.by}</caption>\n<thead><tr>"
    yield "".join(f'<th scope="col">{escape(head)}</th>' for head in heads)
    yield "</tr></thead>\n<tbody>\n"
    for row in answer.rows:
        yield f"<tr>{_cells(report, row)}</tr>\n"
    yield f"</tbody>\n<tfoot><tr>{_cells(report, answer.total)}</tr></tfoot>\n</table>\n</div>\n"


def _cells(report: Report, row: Row) -> str:
    values = to_record(report, row)
    texts = {
        "count": f"{row.count:,}",
        "bytes": format_bytes(row.volume),
        "speeds": f"{row.measured:,}",
        "p50_mbit": format_speed(row.p50),
        "p10_mbit": format_speed(row.p10),
        "p90_mbit": format_speed(row.p90),
        "share_below": format_share(row.below),
        "size_p50_bytes": format_bytes(row.size),
    }
    if report.answer.question.threshold is None:
        del texts["share_below"]
    label = f'<th scope="row">{escape(row.label)}</th>'
    return label + "".join(
        f"<td>{text}</td>"
        if values[name] is None
        else f'<td><data value="{values[name]}">{text}</data></td>'
        for name, text in texts.items()
    )
