"""`dlmon replay-rejects`: judge again, publish to arrivals, then remove from rejects."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

import orjson

from dlmon.brokers.base import Broker
from dlmon.errors import BrokerError, Interrupted
from dlmon.event import event_id_of
from dlmon.messages import Message, Queue
from dlmon.rejects.actions import CHUNK, Outcome, Receipt, Run
from dlmon.rejects.filters import RejectFilter
from dlmon.rejects.patch import Patch, PatchFailed
from dlmon.rejects.queue import LockedReject, Rejects
from dlmon.rejects.rejection import Rejection, revalidate, to_replay
from dlmon.runtime.stop import Stop
from dlmon.validation.validator import Validator
from dlmon.validation.violations import describe_rule

MAX_REPLAYS = 3
"""Default for how often a reject is replayed before it is left alone."""

_TICK = 0.05

Preview: TypeAlias = Callable[[Rejection, Rejection], None]
"""Shown each reject that would be replayed, and what of it would be."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Which rejects are replayed, and as what."""

    validator: Validator
    selection: RejectFilter
    even_invalid: bool = False
    max_replays: int = MAX_REPLAYS
    patch: Patch | None = None

    def validate(self, rejection: Rejection) -> tuple[Rejection, str]:
        """The rejection as it would be replayed, and why it is not (empty where it is)."""
        if rejection.replays >= self.max_replays:
            times = f"replayed {rejection.replays} times, and rejected each time"
            return rejection, f"{times} (--max-replays)"
        try:
            patched = self._patched(rejection)
        except PatchFailed as error:
            return rejection, f"cannot be patched: {error}"
        violations = revalidate(rejection, self.validator, patched.body)
        if violations and not self.even_invalid:
            wrong = describe_rule(violations[0].code, violations[0].path)
            return patched, f"would be rejected again: {wrong}"
        return patched, ""

    def _patched(self, rejection: Rejection) -> Rejection:
        if self.patch is None:
            return rejection
        value = self.validator.validate(rejection.body).value
        if value is None:
            raise PatchFailed("it is not JSON")
        body = self.patch.apply(value)
        if body == orjson.dumps(value):
            return rejection
        # The message id of a sound event is its event_id, and stays so when a patch corrects that.
        new_id = event_id_of(orjson.loads(body))
        if new_id is None or new_id == event_id_of(value):
            return replace(rejection, body=body)
        return replace(rejection, body=body, message_id=new_id)


class _Chosen(NamedTuple):
    held: LockedReject
    replayed: Rejection
    message: Message


def replay(
    rejects: Rejects,
    broker: Broker,
    rules: Rules,
    run: Run,
    *,
    rate: float | None = None,
    preview: Preview | None = None,
) -> Receipt:
    """Put rejects back on arrivals: each is published, confirmed, and only then removed.

    rate: messages per second at most. What was published and comes back as a reject is not
    replayed again.
    """
    pace = _Pace(rate, run.stop) if rate else None

    def act(batch: Sequence[LockedReject], receipt: Receipt) -> None:
        chosen = _choose(batch, rules, run, receipt, preview)
        if not chosen:
            return
        if run.dry_run:
            for one in chosen:
                receipt.note(Outcome.REPLAYED, one.held.rejection)
            return
        for one in chosen:
            rejects.disregard(replace(one.replayed, replays=one.replayed.replays + 1))
        confirmed, problem = _publish(broker, [one.message for one in chosen], pace, run.stop)
        for one in chosen:
            if id(one.message) in confirmed:
                receipt.note(Outcome.REPLAYED, one.held.rejection)
            elif isinstance(problem, BrokerError):
                receipt.note(Outcome.FAILED, one.held.rejection, str(problem))
            else:
                receipt.note(Outcome.LEFT, one.held.rejection, "stopped before it was confirmed")
                receipt.interrupted = True
        rejects.remove([one.held for one in chosen if id(one.message) in confirmed])
        if problem is not None:
            raise problem

    # Paced batches are small, so that a kill leaves few in both places.
    return run.through(rejects, act, CHUNK if rate is None else max(1, min(CHUNK, round(rate))))


def _choose(
    batch: Sequence[LockedReject], rules: Rules, run: Run, receipt: Receipt, preview: Preview | None
) -> list[_Chosen]:
    """Those of a batch that will be replayed; what is left, and why, goes into the receipt."""
    chosen: list[_Chosen] = []
    room = run.room(receipt)
    for held in batch:
        if len(chosen) == room:
            break
        if not rules.selection.matches(held.rejection):
            continue
        replayed, why_not = rules.validate(held.rejection)
        if why_not:
            receipt.note(Outcome.LEFT, held.rejection, why_not)
            continue
        if preview is not None:
            preview(held.rejection, replayed)
        chosen.append(_Chosen(held, replayed, to_replay(replayed)))
    return chosen


def _publish(
    broker: Broker, messages: Sequence[Message], pace: _Pace | None, stop: Stop
) -> tuple[set[int], BrokerError | Interrupted | None]:
    """The ids (of the objects: two messages can have one message id) that arrivals has safely, and
    what went wrong with the others."""
    confirmed: set[int] = set()
    try:
        broker.publish(
            Queue.ARRIVALS,
            [messages] if pace is None else pace.spread(messages),
            confirmed=lambda taken: confirmed.update(map(id, taken)),
            stop=stop,
        )
    except (BrokerError, Interrupted) as error:
        return confirmed, error
    return confirmed, None


class _Pace:
    """Spreads messages over time, without a burst after a stall."""

    def __init__(self, rate: float, stop: Stop) -> None:
        self._rate = rate
        self._stop = stop
        self._due = time.monotonic()

    def spread(self, messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
        """The messages, a few at a time when they are due. Ends early at a stop."""
        size = max(1, round(self._rate * _TICK))
        for start in range(0, len(messages), size):
            now = time.monotonic()
            self._due = max(self._due, now - _TICK)
            if self._stop.wait(self._due - now):
                return
            few = messages[start : start + size]
            self._due += len(few) / self._rate
            yield few
