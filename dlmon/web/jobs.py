"""Actions on rejects, in threads: replay in steps or at a rate, discard into a file.

They go on when the browser has gone, and end with the server. What was not removed from rejects by
then is there still: see `dlmon.commands.replay_rejects`.
"""

from __future__ import annotations

import logging
import math
import secrets
import threading
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from dlmon.brokers import open_broker
from dlmon.commands.discard_rejects import discard
from dlmon.commands.replay_rejects import Rules, replay
from dlmon.config.paths import data_file
from dlmon.errors import DlmonError, FileError
from dlmon.rejects.actions import Run
from dlmon.rejects.export import RejectsFile
from dlmon.rejects.queue import QueuedRejects
from dlmon.rejects.receipt import Outcome, ReceiptEntry
from dlmon.web.answers import Problem
from dlmon.web.job import Job
from dlmon.web.mending import DryRun, Mending
from dlmon.web.site import Site

MAX_JOBS = 50
"""Jobs that are remembered; the oldest that have ended are forgotten."""

_MAX_STEPS = 20
_MAX_RATE = 100_000.0

_log = logging.getLogger(__name__)


class Jobs:
    """Everything that was begun from the page, while the server runs."""

    def __init__(self, site: Site, mending: Mending, changed: Callable[[], None]) -> None:
        """changed: called when a job has got on."""
        self._site = site
        self._mending = mending
        self._changed = changed
        self._jobs: dict[str, Job] = {}
        self._exports: dict[str, Path] = {}

    def records(self) -> list[dict[str, Any]]:
        """All jobs, for the page."""
        return [job.record() for job in tuple(self._jobs.values())]

    def join(self, seconds: float) -> None:
        """End all jobs, and wait for what they have in hand."""
        for job in tuple(self._jobs.values()):
            job.cancel()
        for job in tuple(self._jobs.values()):
            job.join(seconds)

    def replay(self, request: Request, body: Any) -> dict[str, str]:
        """Begin to replay what a dry run showed."""
        steps, rate = _steps(body)
        found = self._mending.confirmed(body, with_patch=True)

        def work(job: Job) -> None:
            for step in steps:
                job.begin_step(step)
                self._replay_step(job, found, step, rate)
                if job.ended or job.done >= job.total:
                    break
                if step is not None and not job.wait_to_continue():
                    break

        return self._start("replay", len(found.replayable), request, found, work)

    def discard(self, request: Request, body: Any) -> dict[str, str]:
        """Begin to discard what a dry run showed, into a file."""
        found = self._mending.confirmed(body, with_patch=False)

        def work(job: Job) -> None:
            folder = data_file("exports")
            name = f"discarded-{job.began.replace(':', '')}-{job.id}.ndjson.gz"
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise FileError(f"Cannot create the folder {folder}: {error.strerror}.") from error
            job.begin_step(None)
            with RejectsFile(folder / name) as export:
                self._exports[name] = folder / name
                job.receipt |= {"export": f"/api/exports/{name}", "file": str(folder / name)}
                self._discard_all(job, found, export)

        return self._start("discard", len(found.keys), request, found, work)

    def show(self, request: Request, _body: Any) -> dict[str, Any]:
        return self._find(request).record()

    def go_on(self, request: Request, _body: Any) -> dict[str, Any]:
        """Begin the next step of a job that waits."""
        job = self._find(request)
        if not job.go_on():
            raise Problem(HTTPStatus.CONFLICT, "This job does not wait.", "See what it does.")
        return job.record()

    def cancel(self, request: Request, _body: Any) -> dict[str, Any]:
        """End a job after what it has in hand."""
        job = self._find(request)
        job.cancel()
        return job.record()

    def export(self, request: Request, _body: Any) -> Response:
        """A file that a discard has written."""
        path = self._exports.get(request.path_params["name"])
        if path is None or not path.exists():
            raise Problem(HTTPStatus.NOT_FOUND, "No discard of this server wrote this file.")
        return FileResponse(path, media_type="application/gzip", filename=path.name)

    def _find(self, request: Request) -> Job:
        job = self._jobs.get(request.path_params["job"])
        if job is None:
            raise Problem(
                HTTPStatus.NOT_FOUND,
                "There is no such job.",
                "Jobs are forgotten when dlmon serve ends; what they did is done.",
            )
        return job

    def _start(
        self,
        kind: str,
        total: int,
        request: Request,
        found: DryRun,
        work: Callable[[Job], None],
    ) -> dict[str, str]:
        job = Job(secrets.token_hex(6), kind, total, request.state.user, self._changed)
        job.receipt |= {
            "code": found.group.code,
            "path": found.group.path,
            "digest": found.digest,
            **({"patch": found.patch} if kind == "replay" and found.patch else {}),
        }

        def run() -> None:
            try:
                work(job)
            except DlmonError as error:
                job.fail(str(error))
            except Exception:
                job.fail("dlmon failed; its log says why: please report it.")
                raise
            finally:
                job.finish()
                _log.info(
                    "%s: %s of %d rejects of %s by %s ended (%s): %d done.",
                    job.id,
                    kind,
                    total,
                    f"{found.group.code} at {found.group.path or 'the whole event'}",
                    job.user,
                    job.state,
                    job.done,
                )

        self._forget()
        self._jobs[job.id] = job
        job.start(threading.Thread(target=run, name=f"job {job.id}", daemon=True))
        return {"job": job.id}

    def _replay_step(self, job: Job, found: DryRun, step: int | None, rate: float | None) -> None:
        with self._site.turns.wait(job.stop) as mine:
            if not mine:
                return
            with (
                self._mending.patch(found.patch) as patch,
                open_broker(self._site.settings, job.stop) as broker,
                QueuedRejects(
                    broker, self._site.validator, job.stop, only=found.replayable
                ) as queued,
            ):
                rules = Rules(self._site.validator, found.reject_filter, patch=patch)
                run = Run(job.stop, step, on_entry=_counting(job, Outcome.REPLAYED))
                job.add(replay(queued, broker, rules, run, rate=rate))

    def _discard_all(self, job: Job, found: DryRun, export: RejectsFile) -> None:
        with self._site.turns.wait(job.stop) as mine:
            if not mine:
                return
            with (
                open_broker(self._site.settings, job.stop) as broker,
                QueuedRejects(broker, self._site.validator, job.stop, only=found.keys) as queued,
            ):
                run = Run(job.stop, on_entry=_counting(job, Outcome.DISCARDED))
                job.add(discard(queued, found.reject_filter, run, export=export))

    def _forget(self) -> None:
        ended = [name for name, job in self._jobs.items() if job.ended]
        for name in ended[: max(0, len(self._jobs) - MAX_JOBS + 1)]:
            del self._jobs[name]
        if len(self._jobs) >= MAX_JOBS:
            raise Problem(
                HTTPStatus.TOO_MANY_REQUESTS, "Too many jobs wait.", "Continue or cancel some."
            )


def _counting(job: Job, outcome: Outcome) -> Callable[[ReceiptEntry], None]:
    def count(entry: ReceiptEntry) -> None:
        if entry.outcome is outcome:
            job.count_one()

    return count


def _steps(body: Any) -> tuple[list[int | None], float | None]:
    """How many at a time (None: the rest), or at which rate.

    Raises: Problem.
    """
    steps, rate = body.get("steps"), body.get("rate")
    if (steps is None) == (rate is None):
        raise Problem(HTTPStatus.BAD_REQUEST, "Expected steps or rate, one of them.")
    if rate is not None:
        if type(rate) not in (int, float) or not (math.isfinite(rate) and 0 < rate <= _MAX_RATE):
            raise Problem(HTTPStatus.BAD_REQUEST, "rate: expected a number of events a second.")
        return [None], float(rate)
    if not isinstance(steps, list) or not 0 < len(steps) <= _MAX_STEPS:
        raise Problem(HTTPStatus.BAD_REQUEST, f"steps: expected a list of up to {_MAX_STEPS}.")
    for step in steps:
        if step is not None and (type(step) is not int or step < 1):
            raise Problem(
                HTTPStatus.BAD_REQUEST, "steps: expected whole numbers, and null for the rest."
            )
    return steps, None
