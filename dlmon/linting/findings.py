"""What is wrong in a file of events, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from dlmon.event_files.block import Position

if TYPE_CHECKING:
    from dlmon.linting.duplicate_ids import IdOccurrence

MAX_REASON = 500
"""Characters of a reason. Those of jsonschema-rs quote the value, however long it is."""


class Snippet(NamedTuple):
    """A part of a line. Characters `start` to `end` of it, exclusive, break the rule."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken rule of one event, and where the value that breaks it stands.

    Lines and columns count from 1, columns in characters; the end is exclusive. `event_id` is None
    where the event has none.
    """

    file: str
    position: Position
    end: Position
    code: str
    path: str
    reason: str
    event_id: str | None
    snippet: Snippet


Tally: TypeAlias = dict[tuple[str, str], tuple[int, Finding]]
"""By code and path: the number of findings, and the first of them."""


class BlockReport(NamedTuple):
    """The result of checking a block.

    findings: how many there are; `shown` has those that were asked for. The rest is empty unless
    `CheckOptions` ask for it. invalid_spans: the bytes of each invalid event in the block's data,
    end exclusive.
    """

    events: int
    invalid: int
    findings: int
    shown: tuple[Finding, ...]
    tally: Tally
    ids: tuple[IdOccurrence, ...]
    invalid_spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """What a `BlockReport` contains besides counts and findings.

    first_only: only the first violation of each event counts, the one that `consume` names.
    tally: findings by code and path. ids: the ids of all events. spans: of invalid events.
    """

    first_only: bool = False
    tally: bool = False
    ids: bool = False
    spans: bool = False
