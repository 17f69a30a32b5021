"""Sources of events to publish: one interface for simulated and recorded ones."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from dlmon.validation.validator import Validator
from dlmon.validation.violations import ID_CONFLICT, UNSTORABLE

VALID = "valid"
"""The verdict on an event that breaks no rule; any other is the code of a violation."""

_VERDICTS_OF_STORES = (UNSTORABLE, ID_CONFLICT)


class PlannedEvent(NamedTuple):
    """An event about to be published, with the verdict that it should get.

    verdict: `VALID`, the code of its first violation, or None where it was not validated.
    """

    message_id: str
    body: bytes
    verdict: str | None


class EventSource(Protocol):
    """Gives events, a few at a time."""

    @property
    def descriptor(self) -> int | None:
        """Readable once there may be more events; None where there always are."""

    @property
    def exhausted(self) -> bool:
        """True once there will be no more events."""

    def take(self, limit: int) -> list[PlannedEvent]:
        """The next events, up to `limit`; none when there are none yet, or no more.

        Raises: UsageError when there cannot be any further events.
        """


class ValidatedSource:
    """The events of another source, with the verdicts of a validator.

    Only stores reject events as `unstorable` and `id-conflict`: where the source gives such a
    verdict to an event that is valid otherwise, it stays.
    """

    def __init__(self, source: EventSource, validator: Validator) -> None:
        self._source = source
        self._validator = validator

    @property
    def descriptor(self) -> int | None:
        return self._source.descriptor

    @property
    def exhausted(self) -> bool:
        return self._source.exhausted

    def take(self, limit: int) -> list[PlannedEvent]:
        return [event._replace(verdict=self._verdict(event)) for event in self._source.take(limit)]

    def _verdict(self, event: PlannedEvent) -> str:
        violations = self._validator.validate(event.body).violations
        if violations:
            return violations[0].code
        return event.verdict if event.verdict in _VERDICTS_OF_STORES else VALID
