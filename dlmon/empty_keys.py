"""Puts empty keys back into the paths of jsonschema-rs, whose errors leave them out.

Of `{"": [1]}`, it says that `/0` is wrong, where that is `//0` (RFC 6901 section 5).
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import orjson

from dlmon.json_text import places


def may_have_empty_keys(body: bytes) -> bool:
    """Whether a JSON text may have one. Never False for a text that has."""
    return b'""' in body


class WholePaths:
    """The pointers of one JSON text."""

    def __init__(self, body: bytes, value: Any) -> None:
        """value: the parsed body."""
        self._value = value
        self._by_told: dict[str, list[str]] = {}
        for place in places(body):
            self._by_told.setdefault(_without_empty(place.pointer), []).append(place.pointer)
        self._used: Counter[tuple[str, str, bytes]] = Counter()

    def of(self, told: str, code: str, instance: Any) -> str:
        """The pointer that was meant. instance: the value there, which breaks the rule `code`.

        Where equal values could be meant, each of them in turn.
        """
        given = orjson.dumps(instance)
        candidates = [
            pointer
            for pointer in self._by_told.get(told, ())
            if orjson.dumps(_at(self._value, pointer)) == given
        ]
        if not candidates:
            return told
        key = (told, code, given)
        self._used[key] += 1
        return candidates[(self._used[key] - 1) % len(candidates)]


def _without_empty(pointer: str) -> str:
    return "".join(f"/{token}" for token in pointer.split("/") if token)


def _at(value: Any, pointer: str) -> Any:
    for token in pointer.split("/")[1:]:
        if isinstance(value, list):
            value = value[int(token)]
        else:
            value = value[token.replace("~1", "/").replace("~0", "~")]
    return value
