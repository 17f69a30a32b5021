"""Text from outside, made safe and short enough to show."""

import json

_MAX_QUOTED = 60


def escape(text: str) -> str:
    r"""`text` with what a terminal could act on spelled out: ESC becomes `\x1b`.

    That includes line ends, and the controls that reorder text of two directions (Unicode's Bidi).
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def escape_json(text: str) -> str:
    r"""The same JSON values, with what a terminal could act on as `\u` escapes (RFC 8259).

    text: lines of JSON. It has no controls below U+0020, but may have those above, such as U+009B.
    """
    if text.isascii() and "\x7f" not in text:
        return text
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


def quote(text: str) -> str:
    """`text` in quotes for a message: a long one is cut."""
    cut = text[:_MAX_QUOTED]
    while len(repr(cut)) > _MAX_QUOTED + 2:  # a character is up to 10 when it is escaped
        cut = cut[:-1]
    return repr(text if cut == text else f"{cut}…")
