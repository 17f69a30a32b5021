"""Text from outside, safe for a terminal and for one line."""

from __future__ import annotations

# Bidirectional controls reorder what is around them, so that a screen shows what is not there.
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def safe(text: str, limit: int | None = None) -> str:
    r"""`text` with what a terminal could act on spelled out: ESC becomes `\x1b`.

    limit: the most characters wanted; an ellipsis tells that something was cut.
    """
    if limit is not None and len(text) > limit:
        text = text[: limit - 1] + "…"
    if text.isprintable() and not _BIDI.intersection(text):
        return text
    return "".join(c if c.isprintable() and c not in _BIDI else ascii(c)[1:-1] for c in text)
