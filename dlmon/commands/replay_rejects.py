"""`dlmon replay-rejects`: validate again, publish to arrivals, then remove from rejects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

import orjson

from dlmon.brokers.base import Broker
from dlmon.errors import BrokerError, Interrupted, UnpublishableMessages
from dlmon.event import event_id_of
from dlmon.messages import Message, Queue
from dlmon.rejects import MAX_REPLAYS
from dlmon.rejects.actions import BATCH_SIZE, Run
from dlmon.rejects.filters import RejectFilter
from dlmon.rejects.patch import Patch, PatchFailed
from dlmon.rejects.queue import LockedReject, Rejects
from dlmon.rejects.receipt import Outcome, Receipt
from dlmon.rejects.rejection import Rejection, revalidate, to_replay
from dlmon.runtime.stop import Stop
from dlmon.sources.pacing import Pace
from dlmon.validation.validator import Validator
from dlmon.validation.violations import describe_rule

OnReplay: TypeAlias = Callable[[Rejection, Rejection], None]
"""Called with each reject that would be replayed, and with what would be replayed."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Which rejects are replayed, and with which changes."""

    validator: Validator
    reject_filter: RejectFilter
    even_invalid: bool = False
    max_replays: int = MAX_REPLAYS
    patch: Patch | None = None

    def apply(self, rejection: Rejection) -> tuple[Rejection, str]:
        """The rejection as it would be replayed, and why it is left (empty where it is not)."""
        if rejection.replays >= self.max_replays:
            times = f"replayed {rejection.replays} times, and rejected each time"
            return rejection, f"{times} (--max-replays)"
        try:
            patched = self._patched(rejection)
        except PatchFailed as error:
            return rejection, f"cannot be patched: {error}"
        violations = revalidate(rejection, self.validator, patched.body)
        if violations and not self.even_invalid:
            rule = describe_rule(violations[0].code, violations[0].path)
            return patched, f"would be rejected again: {rule}"
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


class _Selected(NamedTuple):
    locked: LockedReject
    replayed: Rejection
    message: Message


def replay(
    rejects: Rejects,
    broker: Broker,
    rules: Rules,
    run: Run,
    *,
    rate: float | None = None,
    on_replay: OnReplay | None = None,
) -> Receipt:
    """Put rejects back on arrivals: each is published, confirmed, and only then removed.

    rate: messages per second at most. What was published and comes back as a reject is not
    replayed again.
    """
    pace = None if rate is None else Pace(rate)

    def act(batch: Sequence[LockedReject], receipt: Receipt) -> None:
        selected = _select(
            batch, rules, run, receipt, on_replay, max_bytes=broker.max_properties_bytes
        )
        if not selected:
            return
        if run.dry_run:
            for one in selected:
                receipt.record(Outcome.REPLAYED, one.locked.rejection)
            return
        for one in selected:
            rejects.exclude(replace(one.replayed, replays=one.replayed.replays + 1))
        confirmed, problem = _publish(broker, [one.message for one in selected], pace, run.stop)
        for one in selected:
            if id(one.message) in confirmed:
                receipt.record(Outcome.REPLAYED, one.locked.rejection)
            elif isinstance(problem, BrokerError):
                receipt.record(Outcome.FAILED, one.locked.rejection, str(problem))
            else:
                reason = "stopped before it was confirmed"
                receipt.record(Outcome.LEFT, one.locked.rejection, reason)
                receipt.interrupted = True
        rejects.remove([one.locked for one in selected if id(one.message) in confirmed])
        if problem is not None and not isinstance(problem, UnpublishableMessages):
            raise problem

    # Paced batches are small, so that a kill leaves few in both places.
    return run.process(
        rejects, act, BATCH_SIZE if rate is None else max(1, min(BATCH_SIZE, round(rate)))
    )


def _select(
    batch: Sequence[LockedReject],
    rules: Rules,
    run: Run,
    receipt: Receipt,
    on_replay: OnReplay | None,
    *,
    max_bytes: int,
) -> list[_Selected]:
    """Those of a batch that will be replayed. Records in the receipt which are left, and why."""
    selected: list[_Selected] = []
    remaining = run.remaining(receipt)
    for locked in batch:
        if len(selected) == remaining:
            break
        if not rules.reject_filter.matches(locked.rejection):
            continue
        replayed, reason = rules.apply(locked.rejection)
        if reason:
            receipt.record(Outcome.LEFT, locked.rejection, reason)
            continue
        if on_replay is not None:
            on_replay(locked.rejection, replayed)
        selected.append(_Selected(locked, replayed, to_replay(replayed, max_bytes)))
    return selected


def _publish(
    broker: Broker, messages: Sequence[Message], pace: Pace | None, stop: Stop
) -> tuple[set[int], BrokerError | Interrupted | None]:
    """The ids (of the objects: two messages can have one message id) that arrivals has safely, and
    what went wrong with the others."""
    confirmed: set[int] = set()
    try:
        broker.publish(
            Queue.ARRIVALS,
            [messages] if pace is None else pace.spread(messages, stop),
            confirmed=lambda taken: confirmed.update(map(id, taken)),
            stop=stop,
        )
    except (BrokerError, Interrupted) as error:
        return confirmed, error
    return confirmed, None
