"""Puts empty keys back into the paths of jsonschema-rs, whose errors leave them out.

Of `{"": [1]}`, it says that `/0` is wrong, where that is `//0` (RFC 6901 section 5). What it calls
an evaluation leaves nothing out, but tells no errors: only by which parts of a schema a value is
valid.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TypeAlias

import jsonschema_rs

from dlmon.validation.json_positions import to_pointer

_Told: TypeAlias = tuple[str, str]  # the path in the schema, and that in the value


def may_have_empty_keys(body: bytes) -> bool:
    """Whether a JSON text may have one. Never False for a text that has."""
    return b'""' in body


class WholePaths:
    """The pointers of one value to what breaks the rules of a schema."""

    def __init__(self, evaluation: jsonschema_rs.Evaluation) -> None:
        self._by_told: dict[_Told, deque[str]] = defaultdict(deque)
        for part in evaluation.list()["details"]:
            if not part["valid"]:
                pointer = part["instanceLocation"]
                told = (_without_empty(part["evaluationPath"]), _without_empty(pointer))
                if pointer not in self._by_told[told]:
                    self._by_told[told].append(pointer)

    def of(self, error: jsonschema_rs.ValidationError) -> str:
        """The pointer that was meant; where several could be, each of them in turn."""
        told = to_pointer(error.instance_path)
        whole = self._by_told[to_pointer(error.evaluation_path), told]
        whole.rotate(-1)
        return whole[-1] if whole else told


def _without_empty(pointer: str) -> str:
    return "".join(f"/{token}" for token in pointer.split("/") if token)
