"""Rejections in groups by code and path. Bodies are not kept: memory stays bounded."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # `validate-file` has findings only, and these imports take time
    from dlmon.rejects.rejection import Rejection
    from dlmon.validation.violations import Violation

MAX_GROUPS = 1000
"""Groups that are counted apart. Paths come from events, so a flood can have any number of them."""

MAX_NAMES = 8
"""Schema versions and origins that are kept of a group."""

OTHER = "(other)"
"""The code of the group for everything beyond `MAX_GROUPS`."""


@dataclass(slots=True)
class Group:
    """Rejections whose first violation has the same code and path.

    Times are in milliseconds since the epoch, None where no rejection had one. The sample is the
    one seen last. Of `schemas` and `origins`, at most `MAX_NAMES` are kept.
    """

    code: str
    path: str
    count: int = 0
    first_seen: int | None = None
    last_seen: int | None = None
    schemas: list[str] = field(default_factory=list)
    origins: list[str] = field(default_factory=list)
    sample_id: str = ""
    sample_reason: str = ""

    def add(self, rejection: Rejection) -> None:
        self.count += 1
        _remember(self.schemas, rejection.schema)
        _remember(self.origins, rejection.origin)
        at = rejection.rejected_at
        if at is not None and (self.first_seen is None or at < self.first_seen):
            self.first_seen = at
        newest = at is not None and (self.last_seen is None or at >= self.last_seen)
        if newest:
            self.last_seen = at
        if newest or not self.sample_id:
            self.sample_id = rejection.message_id
            self.sample_reason = rejection.reason

    def merge(self, other: Group) -> None:
        """Add what another group has seen."""
        self.count += other.count
        for names, others in ((self.schemas, other.schemas), (self.origins, other.origins)):
            for name in others:
                _remember(names, name)
        if other.first_seen is not None:
            self.first_seen = min(self.first_seen or other.first_seen, other.first_seen)
        newest = (other.last_seen or -1) > (self.last_seen or -1)
        if newest:
            self.last_seen = other.last_seen
        if newest or not self.sample_id:
            self.sample_id, self.sample_reason = other.sample_id, other.sample_reason


class Groups:
    """Collects rejections into groups."""

    def __init__(self, *, by_origin: bool = False) -> None:
        """by_origin: rejections from different places are in different groups."""
        self._by_origin = by_origin
        self._groups: dict[tuple[str, str, str], Group] = {}
        self.count = 0

    def __len__(self) -> int:
        return len(self._groups)

    def add(self, rejection: Rejection) -> None:
        origin = rejection.origin if self._by_origin else ""
        self._group(rejection.code, rejection.path, origin).add(rejection)
        self.count += 1

    def merge(self, other: Groups) -> None:
        """Add what others have collected."""
        for group in other.largest_first():
            self._group(group.code, group.path).merge(group)
        self.count += other.count

    def largest_first(self) -> list[Group]:
        return sorted(self._groups.values(), key=lambda group: -group.count)

    def _group(self, code: str, path: str, origin: str = "") -> Group:
        key = (code, path, origin)
        if key not in self._groups and len(self._groups) >= MAX_GROUPS:
            key = (OTHER, "", "")
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Group(*key[:2])
        return group


class Latest:
    """Keeps the newest rejections, or the oldest; those without a time count as oldest of all."""

    def __init__(self, limit: int, *, oldest: bool = False) -> None:
        self._limit = limit
        self._sign = -1 if oldest else 1
        self._heap: list[tuple[int, int, Rejection]] = []
        self._count = itertools.count()

    def add(self, rejection: Rejection) -> None:
        at = -1 if rejection.rejected_at is None else rejection.rejected_at
        # The second number only keeps rejections themselves from being compared.
        entry = (self._sign * at, next(self._count), replace(rejection, body=b""))
        if len(self._heap) < self._limit:
            heapq.heappush(self._heap, entry)
        else:
            heapq.heappushpop(self._heap, entry)

    def in_order(self) -> list[Rejection]:
        """The newest first, or the oldest first."""
        return [rejection for _, _, rejection in sorted(self._heap, reverse=True)]


class Revalidation:
    """Counts what would pass now, and groups the rest by what still fails."""

    def __init__(self) -> None:
        self.passing = 0
        self.failing = Groups()

    def add(self, rejection: Rejection, now: Sequence[Violation]) -> None:
        """now: what is wrong with it today (`dlmon.rejects.rejection.revalidate`)."""
        if now:
            self.failing.add(replace(rejection, violations=tuple(now)))
        else:
            self.passing += 1


def _remember(names: list[str], name: str) -> None:
    if name and name not in names and len(names) < MAX_NAMES:
        names.append(name)
