"""Keys that stand more than once in their object.

RFC 8259 section 4 leaves open what they mean, and parsers keep one of them without a word.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from dlmon.validation.json_positions import value_spans


def may_have_duplicate_keys(text: bytes, value: Any) -> bool:
    """Whether `text` has to be searched for them. Never False for a text that has one.

    value: the parsed text. A parser keeps one of two equal keys: the text then has more strings
    than the value has when it is serialized again.
    """
    serialized = orjson.dumps(value)
    # Most texts are equal to what orjson writes: then nothing has to be counted.
    return serialized != text and count_strings(text) != count_strings(serialized)


def duplicate_keys(text: bytes) -> Iterator[str]:
    """The JSON Pointer of each member of a valid JSON text whose object had its key before."""
    return (span.pointer for span in value_spans(text) if span.duplicate)


def count_strings(text: bytes) -> int:
    """How many strings a valid JSON text has, keys included."""
    if b"\\" in text:
        # From the left, so that of `\\\\"` the first two go together: the quote ends the string.
        text = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    return text.count(b'"') // 2
