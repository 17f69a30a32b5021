"""Which rejects are meant: the filters that all commands on rejects share."""

from __future__ import annotations

from dataclasses import dataclass

from dlmon.event import normalize_id
from dlmon.rejects.rejection import Rejection


@dataclass(frozen=True, slots=True)
class RejectFilter:
    """Filters on rejections. All that are given must match; of several values, one must.

    `codes` and `paths` are those of the first violation, by which rejections are grouped, so that
    what a group counts is what its code and path select. `since` and `until` are in milliseconds
    since the epoch and select nothing that has no time. `contains` is looked for in the body and in
    the reason. `ids` are compared as stores compare them. A schema version is its `$id`, its digest
    or both, as the group view shows them.
    """

    codes: frozenset[str] = frozenset()
    paths: frozenset[str] = frozenset()
    since: int | None = None
    until: int | None = None
    contains: str | None = None
    ids: frozenset[str] = frozenset()
    schema_versions: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", frozenset(map(normalize_id, self.ids)))

    def matches(self, rejection: Rejection) -> bool:
        if self.codes and rejection.code not in self.codes:
            return False
        if self.paths and rejection.path not in self.paths:
            return False
        if self.ids and normalize_id(rejection.message_id) not in self.ids:
            return False
        if self.schema_versions and self.schema_versions.isdisjoint(
            (rejection.schema, *rejection.schema.split())
        ):
            return False
        return self._matches_time(rejection.rejected_at) and self._matches_text(rejection)

    @property
    def everything(self) -> bool:
        """True when no filter was given."""
        return self == RejectFilter()

    def _matches_time(self, at: int | None) -> bool:
        if self.since is None and self.until is None:
            return True
        return (
            at is not None
            and (self.since is None or self.since <= at)
            and (self.until is None or at <= self.until)
        )

    def _matches_text(self, rejection: Rejection) -> bool:
        return (
            self.contains is None
            or self.contains.encode(errors="surrogateescape") in rejection.body
            or self.contains in rejection.reason
        )
