"""Patches on one reject and on a group, without doing anything: what an action may do afterwards.

A dry run has a digest of the rejects that it saw, the patch and the schema. An action names it, and
touches these rejects only: what came later, or was mended by somebody else, is left.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from starlette.requests import Request

from dlmon.brokers import open_broker
from dlmon.commands.replay_rejects import Decision, Rules, replay
from dlmon.rejects.actions import Run
from dlmon.rejects.filters import RejectFilter
from dlmon.rejects.groups import Group
from dlmon.rejects.patch import Patch
from dlmon.rejects.queue import QueuedRejects, key_of
from dlmon.rejects.rejection import Rejection
from dlmon.runtime.stop import Stop
from dlmon.validation.validator import Validator
from dlmon.web.answers import Problem, text_of
from dlmon.web.messages import shown, violation_records
from dlmon.web.rejects import RejectsView, filter_of_group
from dlmon.web.site import Site

MAX_DIFFERENCES = 20
"""Rejects of which a dry run shows what becomes of them."""

_MAX_DRY_RUNS = 20  # that an action can still be based on
_PATCHES_AT_ONCE = 2  # that are tried while somebody types: each is a process


@dataclass(frozen=True, slots=True)
class DryRun:
    """What a patch would do to a group. patch: empty for none. keys: of the rejects in the group.
    replayable: of those that would be replayed."""

    digest: str
    group: Group
    reject_filter: RejectFilter
    patch: str
    keys: frozenset[bytes]
    replayable: frozenset[bytes]


@dataclass(slots=True)
class _Summary:
    """What a dry run has seen so far."""

    keys: set[bytes] = field(default_factory=set)
    replayable: set[bytes] = field(default_factory=set)
    unchanged: int = 0
    diffs: list[dict[str, Any]] = field(default_factory=list)

    def add(self, rejection: Rejection, decision: Decision, validator: Validator) -> None:
        key = key_of(rejection)
        self.keys.add(key)
        if not decision.reason:
            self.replayable.add(key)
        self.unchanged += decision.rejection.body == rejection.body
        if len(self.diffs) < MAX_DIFFERENCES:
            self.diffs.append({"key": key.hex(), **_trial(rejection, decision, validator)})


@dataclass(frozen=True, slots=True)
class _RecordingRules(Rules):
    """Rules that remember what they decided."""

    summary: _Summary = field(default_factory=_Summary)

    def apply(self, rejections: Sequence[Rejection], stop: Stop) -> list[Decision]:
        decisions = Rules.apply(self, rejections, stop)
        for rejection, decision in zip(rejections, decisions, strict=True):
            self.summary.add(rejection, decision, self.validator)
        return decisions


class Mending:
    """Tries patches."""

    def __init__(self, site: Site, rejects: RejectsView) -> None:
        self._site = site
        self._rejects = rejects
        self._trying = threading.BoundedSemaphore(_PATCHES_AT_ONCE)
        self._dry_runs: OrderedDict[str, DryRun] = OrderedDict()

    def try_patch(self, _request: Request, body: Any) -> dict[str, Any]:
        """What a patch makes of the newest reject of a group."""
        found, group = self._rejects.find_group(text_of(body, "group"))
        listed = found.listed.get(text_of(body, "group"))
        if not listed:
            raise Problem(
                HTTPStatus.CONFLICT,
                "The last look kept no reject of this group to try a patch on.",
                "Make a dry run.",
            )
        with self._trying, self.patch(text_of(body, "patch")) as patch:
            rules = Rules(self._site.validator, filter_of_group(found, group), patch=patch)
            (decision,) = rules.apply(listed[:1], self._site.stop)
        if decision.reason.startswith("cannot be patched"):
            return {"error": f"It {decision.reason}.", "hint": ""}
        return _trial(listed[0], decision, self._site.validator)

    def dry_run(self, _request: Request, body: Any) -> dict[str, Any]:
        """What a patch would do to the rejects of a group, those that are in the queue now."""
        found, group = self._rejects.find_group(text_of(body, "group"))
        reject_filter = filter_of_group(found, group)
        expression = text_of(body, "patch")
        with (
            self._site.turns.take(),
            self.patch(expression) as patch,
            open_broker(self._site.settings, self._site.stop) as broker,
            QueuedRejects(broker, self._site.validator, self._site.stop) as queued,
        ):
            rules = _RecordingRules(self._site.validator, reject_filter, patch=patch)
            receipt = replay(queued, broker, rules, Run(self._site.stop, dry_run=True))
        if receipt.error is not None:
            raise receipt.error
        seen = rules.summary
        result = DryRun(
            self._digest(seen.keys, expression),
            group,
            reject_filter,
            expression,
            frozenset(seen.keys),
            frozenset(seen.replayable),
        )
        self._remember(result)
        words = ("--patch", expression) if expression else ()
        return {
            "digest": result.digest,
            "total": len(result.keys),
            "valid": len(result.replayable),
            "invalid": len(result.keys) - len(result.replayable),
            "unchanged": seen.unchanged,
            "diffs": seen.diffs,
            "more": receipt.partial,
            "command": self._rejects.command("replay-rejects", found, group, *words),
        }

    def confirmed(self, body: Any, *, with_patch: bool) -> DryRun:
        """The dry run that an action is based on.

        Raises: Problem that says what differs.
        """
        digest, identity = text_of(body, "digest"), text_of(body, "group")
        result = self._dry_runs.get(digest)
        if result is None:
            raise _differs("no dry run of this server has this digest")
        _, group = self._rejects.find_group(identity)
        if (group.code, group.path) != (result.group.code, result.group.path):
            raise _differs("it was of another group")
        if with_patch and text_of(body, "patch") != result.patch:
            raise _differs("it was of another patch")
        if digest != self._digest(result.keys, result.patch):
            raise _differs("it was by another schema")
        return result

    @contextmanager
    def patch(self, expression: str) -> Iterator[Patch | None]:
        """A process with a patch, None for an empty one. Raises: UsageError."""
        if not expression.strip():
            yield None
            return
        with Patch(expression, self._site.settings.max_event_bytes) as patch:
            yield patch

    def _remember(self, result: DryRun) -> None:
        self._dry_runs[result.digest] = result
        while len(self._dry_runs) > _MAX_DRY_RUNS:
            self._dry_runs.popitem(last=False)

    def _digest(self, keys: set[bytes] | frozenset[bytes], patch: str) -> str:
        digest = hashlib.sha256(repr((patch, self._site.validator.schema.version)).encode())
        for key in sorted(keys):
            digest.update(key)
        return f"sha256:{digest.hexdigest()}"


def _trial(rejection: Rejection, decision: Decision, validator: Validator) -> dict[str, Any]:
    after = decision.rejection.body
    verdict = validator.validate(after)
    return {
        "before": shown(rejection.body),
        "after": shown(after),
        "valid": not decision.reason,
        "violations": violation_records(verdict.violations),
        "reason": decision.reason or None,
    }


def _differs(what: str) -> Problem:
    return Problem(
        HTTPStatus.CONFLICT,
        f"This is not what the dry run showed: {what}.",
        "Make a dry run again, and look at what it shows.",
    )
