"""`dlmon replay-rejects`: validate again, publish to arrivals, then remove from rejects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import NamedTuple, TypeAlias

import orjson

from dlmon.brokers.base import Broker
from dlmon.errors import BrokerError, Interrupted, UnpublishableMessages
from dlmon.event import event_id_of
from dlmon.messages import Message, Queue
from dlmon.rejects import MAX_REPLAYS
from dlmon.rejects.actions import BATCH_SIZE, Run
from dlmon.rejects.filters import RejectFilter
from dlmon.rejects.patch import Patch, PatchFailure
from dlmon.rejects.queue import LockedReject, Rejects
from dlmon.rejects.receipt import Outcome, Receipt
from dlmon.rejects.rejection import Rejection, revalidate, to_replay
from dlmon.runtime.stop import Stop
from dlmon.sources.pacing import Pace
from dlmon.validation.validator import Validator
from dlmon.validation.violations import NOT_JSON, NOT_UTF8, Verdict, describe_rule

PATIENCE = 5 * 60.0
"""Seconds without an answer, because of an alarm of RabbitMQ, say, after which a replay ends: until
then it holds its rejects."""

_DECIDED_AT_ONCE = 100
"""Rejects that are decided on together: enough for a patch, whose process they go to and fro. With
a limit, the last of them may be for nothing."""

OnReplay: TypeAlias = Callable[[Rejection, Rejection], None]
"""Called with each reject that would be replayed, and with what would be replayed."""


class Decision(NamedTuple):
    """A rejection as it would be replayed, and why it is left (empty where it is not)."""

    rejection: Rejection
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Rules:
    """Which rejects are replayed, and with which changes."""

    validator: Validator
    reject_filter: RejectFilter
    even_invalid: bool = False
    max_replays: int = MAX_REPLAYS
    patch: Patch | None = None

    def apply(self, rejections: Sequence[Rejection], stop: Stop) -> list[Decision]:
        """Decide on each of these rejections.

        Raises: UsageError when the patch is of no use. Interrupted at a stop request while it runs.
        """
        tried = [one for one in rejections if one.replays < self.max_replays]
        patched = dict(zip(map(id, tried), self._patch(tried, stop), strict=True))
        return [self._decide(one, patched.get(id(one))) for one in rejections]

    def _decide(self, rejection: Rejection, patched: Rejection | PatchFailure | None) -> Decision:
        if patched is None:
            times = f"replayed {rejection.replays} times, and rejected each time"
            return Decision(rejection, f"{times} (--max-replays)")
        if isinstance(patched, PatchFailure):
            return Decision(rejection, f"cannot be patched: {patched.reason}")
        violations = revalidate(rejection, self.validator, patched.body)
        if violations and not self.even_invalid:
            rule = describe_rule(violations[0].code, violations[0].path)
            return Decision(patched, f"would be rejected again: {rule}")
        return Decision(patched)

    def _patch(
        self, rejections: Sequence[Rejection], stop: Stop
    ) -> Sequence[Rejection | PatchFailure]:
        """Each rejection as the patch makes it, or why it cannot be patched."""
        if self.patch is None:
            return rejections
        verdicts = [self.validator.validate(one.body) for one in rejections]
        values = [verdict.value for verdict in verdicts if not _unreadable(verdict)]
        results = zip(values, self.patch.apply(values, stop), strict=True)
        patched: list[Rejection | PatchFailure] = []
        for rejection, verdict in zip(rejections, verdicts, strict=True):
            if _unreadable(verdict):
                patched.append(PatchFailure(_why_unreadable(verdict)))
                continue
            value, result = next(results)
            if isinstance(result, PatchFailure):
                patched.append(result)
            else:
                patched.append(_with_body(rejection, value, result))
        return patched


def _unreadable(verdict: Verdict) -> bool:
    """Whether a body has no JSON value to patch. (That of `null` is None, too.)"""
    return verdict.value is None and not verdict.valid


def _why_unreadable(verdict: Verdict) -> str:
    violation = verdict.violations[0]
    is_json = violation.code not in (NOT_JSON, NOT_UTF8)
    return f"it is {violation.code}: {violation.reason}" if is_json else "it is not JSON"


def _with_body(rejection: Rejection, value: object, body: bytes) -> Rejection:
    """The rejection with a patched body. value: of the body before."""
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
    matching = (one for one in batch if rules.reject_filter.matches(one.rejection))
    while len(selected) != remaining and (some := list(islice(matching, _DECIDED_AT_ONCE))):
        decisions = rules.apply([one.rejection for one in some], run.stop)
        for locked, (replayed, reason) in zip(some, decisions, strict=True):
            if len(selected) == remaining:
                return selected
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
            patience=PATIENCE,
        )
    except (BrokerError, Interrupted) as error:
        return confirmed, error
    return confirmed, None
