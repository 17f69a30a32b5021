"""JSON Pointers (RFC 6901)."""

from __future__ import annotations

from collections.abc import Iterable


def escape_token(token: str) -> str:
    """One reference token of a JSON Pointer (RFC 6901 section 3)."""
    return token.replace("~", "~0").replace("/", "~1")


def to_pointer(tokens: Iterable[str | int]) -> str:
    """The JSON Pointer with these reference tokens."""
    return "".join(f"/{escape_token(str(token))}" for token in tokens)
