"""Answers about what is stored: the same as those of `dlmon report`, by the same functions."""

from __future__ import annotations

import io
import math
import shlex
from http import HTTPStatus
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from dlmon.analysis.questions import make_question
from dlmon.analysis.report import Question
from dlmon.analysis.summaries import Summaries
from dlmon.commands.report import (
    AnomalyReport,
    Report,
    anomalies_so_far,
    report_so_far,
    summaries_file,
)
from dlmon.commands.report_records import (
    to_anomalies_document,
    to_document,
    write_anomalies,
    write_csv,
)
from dlmon.config.settings import Settings
from dlmon.web.answers import Problem

PARAMETERS = ("since", "until", "by", "where", "threshold")
"""Those of a question, spelled as the options of `dlmon report`."""


class Questions:
    """Answers from what is summarised so far: another thread follows the store."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def report(self, request: Request, _body: Any) -> dict[str, Any]:
        query = request.query_params
        command = self._command(query, "json")
        return to_document(self._report(query)) | {"command": command}

    def report_csv(self, request: Request, _body: Any) -> Response:
        file = io.StringIO()
        write_csv(self._report(request.query_params), file)
        return _csv(file.getvalue(), "report.csv")

    def anomalies(self, request: Request, _body: Any) -> dict[str, Any]:
        query = request.query_params
        command = self._command(query, "json", anomalies=True)
        return to_anomalies_document(self._anomalies(query)) | {"command": command}

    def anomalies_csv(self, request: Request, _body: Any) -> Response:
        file = io.StringIO()
        write_anomalies(self._anomalies(request.query_params), "csv", file)
        return _csv(file.getvalue(), "anomalies.csv")

    def _report(self, query: QueryParams) -> Report:
        question = _question(query)
        with Summaries(summaries_file(self._settings.store)) as summaries:
            return report_so_far(question, summaries)

    def _anomalies(self, query: QueryParams) -> AnomalyReport:
        if query.get("where") or query.get("threshold"):
            raise Problem(
                HTTPStatus.BAD_REQUEST,
                "Anomalies are looked for everywhere.",
                "Leave out where and threshold.",
            )
        question = _question(query)
        with Summaries(summaries_file(self._settings.store)) as summaries:
            return anomalies_so_far(question, summaries)

    def _command(self, query: QueryParams, output: str, *, anomalies: bool = False) -> str:
        words = ["dlmon", "report"]
        for name, value in query.multi_items():
            if name in PARAMETERS and value and not (anomalies and name == "by"):
                words += [f"--{name}", value]
        words += ["--anomalies"] if anomalies else []
        return shlex.join([*words, "--store", str(self._settings.store), "--output", output])


def _question(query: QueryParams) -> Question:
    """Raises: UsageError, Problem."""
    return make_question(
        query.get("since") or "24h",
        query.get("until") or None,
        query.get("by") or "hour",
        [where for where in query.getlist("where") if where],
        threshold=_threshold(query.get("threshold") or None),
    )


def _threshold(text: str | None) -> float | None:
    try:
        value = None if text is None else float(text)
    except ValueError:
        value = math.nan
    if value is not None and not (math.isfinite(value) and value >= 0):
        raise Problem(HTTPStatus.BAD_REQUEST, "threshold: expected Mbit/s, such as 25.")
    return value


def _csv(text: str, name: str) -> Response:
    disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(text, media_type="text/csv; charset=utf-8", headers=disposition)
