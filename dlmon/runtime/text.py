"""Text from outside, made safe and short enough to show."""

_MAX_QUOTED = 60


def escape(text: str) -> str:
    r"""`text` with what a terminal could act on spelled out: ESC becomes `\x1b`.

    That includes line ends, and the controls that reorder text of two directions (Unicode's Bidi).
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def quote(text: str) -> str:
    """`text` in quotes for a message: a long one is cut."""
    return repr(text if len(text) <= _MAX_QUOTED else f"{text[:_MAX_QUOTED]}…")
