"""`dlmon try-schema`: what another schema would change, tried on what was collected."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from dlmon.brokers.base import Broker
from dlmon.commands.inspect_rejects import Look, look
from dlmon.errors import Interrupted
from dlmon.rejects.actions import OnProgress
from dlmon.rejects.filters import RejectFilter
from dlmon.rejects.groups import Groups
from dlmon.rejects.rejection import Rejection, revalidate
from dlmon.runtime.stop import Stop
from dlmon.stores.reading import StoredEvent, StoreReader
from dlmon.validation.validator import Validator
from dlmon.validation.violations import Violation

_READ = 1000  # events at a time
_YEAR_10000 = 253_402_300_800_000


@dataclass(frozen=True, slots=True)
class Schemas:
    """The schema that is in use, and the one that is tried."""

    current: Validator
    tried: Validator


@dataclass(slots=True)
class StoreTrial:
    """Stored events by both schemas.

    count: events that were read. newly_rejected: those that only the tried schema rejects, by what
    is wrong with them. rejected_by_both: they were stored before the current schema was in use.
    """

    count: int = 0
    newly_rejected: Groups = field(default_factory=Groups)
    rejected_by_both: int = 0


@dataclass(slots=True)
class RejectsTrial:
    """Rejects by both schemas.

    newly_passing: those that only the tried schema lets pass, by what they were rejected for.
    passing_by_both: they could be replayed now.
    """

    look: Look
    newly_passing: Groups
    passing_by_both: int


def try_on_store(
    schemas: Schemas,
    reader: StoreReader,
    start: int,
    stop: Stop,
    on_progress: Callable[[int], None],
) -> StoreTrial:
    """Validate stored events by both schemas, and change nothing.

    start: of their timestamps, in milliseconds since the epoch.

    Raises: StoreUnavailable, Interrupted.
    """
    trial = StoreTrial()
    for events in reader.read_events(start, _YEAR_10000, _READ):
        if stop.requested:
            raise Interrupted("Stopped before all events were validated.")
        verdicts = schemas.tried.validate_all([event.body for event in events])
        for event, verdict in zip(events, verdicts, strict=True):
            if not verdict.violations:
                continue
            if schemas.current.validate(event.body).violations:
                trial.rejected_by_both += 1
            else:
                trial.newly_rejected.add(_rejection(event, verdict.violations))
        trial.count += len(events)
        on_progress(trial.count)
    return trial


def try_on_rejects(
    schemas: Schemas, broker: Broker, start: int, stop: Stop, on_progress: OnProgress
) -> RejectsTrial:
    """Validate rejects by both schemas; they stay where they are.

    start: of when they were rejected, in milliseconds since the epoch.

    Raises: BrokerError, Interrupted.
    """
    newly_passing = Groups()
    passing_by_both = 0

    def visit(rejections: Sequence[Rejection]) -> None:
        nonlocal passing_by_both
        for rejection in rejections:
            if revalidate(rejection, schemas.tried):
                continue
            if revalidate(rejection, schemas.current):
                newly_passing.add(rejection)
            else:
                passing_by_both += 1

    looked = look(
        broker,
        schemas.current,
        RejectFilter(since=start),
        visit,
        stop=stop,
        on_progress=on_progress,
    )
    if looked.interrupted:
        raise Interrupted("Stopped before all rejects were validated.")
    return RejectsTrial(looked, newly_passing, passing_by_both)


def _rejection(event: StoredEvent, violations: tuple[Violation, ...]) -> Rejection:
    """What would have been parked. Its time is that of the event."""
    return Rejection(
        message_id=event.event_id,
        body=b"",
        violations=violations,
        schema="",
        origin="",
        rejected_at=event.sample.at,
        rejected_by="",
    )
