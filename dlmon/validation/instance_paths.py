"""Completes the paths of jsonschema-rs, whose errors leave empty keys out.

In `{"": [1]}` it reports the number at `/0`, where RFC 6901 section 5 says `//0`. The list output
of an evaluation (JSON Schema 2020-12 section 12.4.2) has complete paths but no errors: only which
parts of a schema each value satisfies. This module matches the two.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TypeAlias

import jsonschema_rs

from dlmon.validation.json_pointer import to_pointer

_Reported: TypeAlias = tuple[str, str]
"""The paths in the schema and in the value, as an error reports them."""


def may_have_empty_keys(body: bytes) -> bool:
    """Whether a JSON text may have one. Never False for a text that has."""
    return b'""' in body


class InstancePaths:
    """The complete JSON Pointers to the invalid parts of one value."""

    def __init__(self, evaluation: jsonschema_rs.Evaluation) -> None:
        self._complete: dict[_Reported, deque[str]] = defaultdict(deque)
        invalid = [part for part in evaluation.list()["details"] if not part["valid"]]
        # Without its empty keys, a path can be that of a schema around it, which has no error.
        with_errors = [part for part in invalid if "errors" in part]
        for parts in (with_errors, invalid):
            known = set(self._complete)
            for part in parts:
                pointer = part["instanceLocation"]
                reported = (_without_empty(part["evaluationPath"]), _without_empty(pointer))
                if reported not in known and pointer not in self._complete[reported]:
                    self._complete[reported].append(pointer)

    def pointer_of(self, error: jsonschema_rs.ValidationError) -> str:
        """Where the error is. Of several values that it may be about, each call takes the next."""
        reported = to_pointer(error.instance_path)
        candidates = self._complete[to_pointer(error.evaluation_path), reported]
        candidates.rotate(-1)
        return candidates[-1] if candidates else reported


def _without_empty(pointer: str) -> str:
    return "".join(f"/{token}" for token in pointer.split("/") if token)
