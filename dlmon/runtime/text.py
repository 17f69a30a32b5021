"""Text from outside, made safe to show."""


def escape(text: str) -> str:
    r"""`text` with what a terminal could act on spelled out: ESC becomes `\x1b`.

    That includes line ends, and the controls that reorder text of two directions (Unicode's Bidi).
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
