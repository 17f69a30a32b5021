"""Text from outside, as messages show it."""

from __future__ import annotations

import pytest

from dlmon.runtime.text import quote


@pytest.mark.parametrize("text", ["x" * 61, "\U000e0001" * 60, "\x1b" * 60, "\\" * 60])
def test_what_is_quoted_is_cut_by_what_it_takes_on_the_screen(text: str) -> None:
    shown = quote(text)
    assert shown.endswith("…'")
    assert 50 <= len(shown) <= 63


def test_short_text_is_quoted_whole() -> None:
    assert quote("x" * 60) == repr("x" * 60)
    assert quote("a\tb") == r"'a\tb'"
