from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlmon.console.rejects.detail import MAX_LINES, show_rejection
from dlmon.messages import DeadLetter
from dlmon.rejects.groups import Groups
from dlmon.rejects.rejection import Rejection, from_delivery
from dlmon.validation.json_positions import indent, value_spans
from dlmon.validation.violations import Violation
from tests.support.events import make_body
from tests.support.rejections import AT, VALIDATOR, delivery, rejection

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def scalars(text: bytes) -> list[tuple[str, bytes]]:
    """Where the scalars stand, and how they are spelled."""
    return [
        (one.pointer, text[one.start : one.end])
        for one in value_spans(text)
        if text[one.start : one.start + 1] not in (b"[", b"{")
    ]


def shown(capsys: pytest.CaptureFixture[str], one: Rejection) -> list[str]:
    show_rejection(one, VALIDATOR.validate(one.body))
    return capsys.readouterr().out.splitlines()


@given(JSON, st.booleans())
def test_indenting_changes_only_what_stands_between_tokens(value: Any, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only).encode(errors="surrogatepass")
    assert json.loads(indent(text)) == value
    assert scalars(indent(text)) == scalars(text)


def test_indenting_keeps_equal_keys_and_the_spelling_of_numbers() -> None:
    assert indent(b'{"a":1.50,"a":1e2,"b":[],"c":[{}]}').decode().split("\n") == [
        "{",
        '  "a": 1.50,',
        '  "a": 1e2,',
        '  "b": [],',
        '  "c": [',
        "    {}",
        "  ]",
        "}",
    ]


def test_of_a_key_that_stands_twice_the_second_is_marked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = shown(capsys, rejection(b'{"a": 1, "a": 2}'))
    at = lines.index('    "a": 2')
    assert lines[at + 1].startswith("    ^^^^^^ duplicate-key")
    assert not lines[at - 1].strip().startswith("^")


def test_a_mark_stands_below_its_value_after_wide_and_escaped_characters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    body = orjson.dumps({"東京\u202e": ["x", -1]}).replace(b'"x",', b'"x", ')
    lines = shown(capsys, rejection(body, Violation("minimum", "/東京\u202e/1", "below")))
    at = next(number for number, line in enumerate(lines) if line.strip() == "-1")
    assert lines[at + 1].index("^^") == lines[at].index("-1")


def test_a_mark_in_one_line_counts_cells_and_not_characters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = shown(capsys, rejection('{"東京": nonsense}'.encode()))
    at = next(number for number, line in enumerate(lines) if "nonsense" in line)
    # Two cells for each of the two wide characters, of which index() counts only one.
    assert lines[at + 1].index("^") == lines[at].index("nonsense") + 2


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"\x00", "\ufeff{}".encode(), b"\xff" * 5000]
)
def test_every_body_can_be_shown(capsys: pytest.CaptureFixture[str], body: bytes) -> None:
    lines = shown(capsys, rejection(body))
    assert "1 violation" in lines


def test_a_body_of_many_lines_is_cut_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    body = orjson.dumps({"extra": list(range(2000))})
    lines = shown(capsys, rejection(body))
    assert len(lines) < MAX_LINES + 50
    assert "bytes after" in lines[-1]


def test_the_part_of_a_long_text_around_the_fault_is_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    body = b'{"a": "' + b"x" * 10_000 + b'", here: 1, "b": "' + b"y" * 10_000 + b'"}'
    lines = shown(capsys, rejection(body))
    assert any("here: 1" in line for line in lines)
    assert any("bytes before" in line for line in lines)
    assert any("bytes after" in line for line in lines)
    assert sum(map(len, lines)) < 10_000


def test_what_the_broker_dead_lettered_is_a_group_of_its_own_with_its_time() -> None:
    letter = DeadLetter("dlmon.arrivals", "delivery_limit", 21, AT)
    poison = from_delivery(delivery(make_body(), "poison", dead_letter=letter), VALIDATOR)
    groups = Groups()
    groups.add(poison)
    (group,) = groups.largest_first()
    assert (group.code, group.last_seen) == ("undeliverable", AT)
    assert group.sample_reason.startswith("dead-lettered from dlmon.arrivals: delivery_limit")
    assert group.origins == ["dlmon.arrivals"]
