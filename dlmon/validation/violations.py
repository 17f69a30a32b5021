"""What validation says of an event: its violations, and their codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from dlmon.event import Event

# The codes that are no keyword of JSON Schema. They are stable: headers, reports and filters use
# them.
TOO_LARGE = "too-large"
NOT_UTF8 = "not-utf8"
NOT_JSON = "not-json"
DUPLICATE_KEY = "duplicate-key"
FALSE = "false"  # what a schema that is just `false` says of every value
UNDECIDED = "undecided"  # a pattern gave up, so that the schema says neither yes nor no
UNSTORABLE = "unstorable"
ID_CONFLICT = "id-conflict"
UNDECODABLE_HEADERS = "undecodable-headers"
UNDECODABLE_BODY = "undecodable-body"
UNDELIVERABLE = "undeliverable"
FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule: its code, a JSON Pointer (RFC 6901) to the value, and the reason in words.

    code: a keyword of JSON Schema, or one of dlmon's own. offset: the byte at which the text stops
    being JSON or UTF-8, for those two codes only.
    """

    code: str
    path: str
    reason: str
    offset: int | None = None


class Verdict(NamedTuple):
    """What validation says of one body: valid, or its violations.

    value: the parsed JSON, None where the body is none.
    """

    value: Any
    violations: tuple[Violation, ...] = ()

    @property
    def valid(self) -> bool:
        return not self.violations

    @property
    def event(self) -> Event:
        """The event of a valid body."""
        event: Event = self.value
        return event


def describe_rule(code: str, path: str) -> str:
    """A code and a JSON Pointer in words; the empty pointer is the whole event."""
    return f"{code} at {path}" if path else code
