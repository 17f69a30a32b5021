"""What is wrong in a file of events, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from dlmon.event_files.block import (
    Position,
)
from dlmon.linting.ids import IdSeen

MAX_REASON = 500
"""Characters of a reason. Those of jsonschema-rs quote the value, however long it is."""


class Snippet(NamedTuple):
    """A part of a line: characters `start` to `end` of it, exclusive, are the place."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken rule of one event, and where the value that breaks it stands.

    Lines and columns count from 1, columns in characters; the end is exclusive. `event_id` is that
    of the event, None where it has none.
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
"""By code and path: how many findings, and the first of them."""


class BlockReport(NamedTuple):
    """What judging a block came to.

    findings: how many there are; those of `shown` are told. Where they were asked for: tally; ids;
    and places, which are the bytes of each invalid event in the block's data, end exclusive.
    """

    events: int
    invalid: int
    findings: int
    shown: tuple[Finding, ...]
    tally: Tally
    ids: tuple[IdSeen, ...]
    places: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """What judging shall tell, besides how many events are invalid.

    first_only: of each event, only the first violation counts: the one `consume` names. tally:
    count findings by code and path. ids: tell the ids of all events. places: tell where the invalid
    events are.
    """

    first_only: bool = False
    tally: bool = False
    ids: bool = False
    places: bool = False
