from __future__ import annotations

from typing import Any

import orjson
import pytest

from dlmon.errors import UsageError
from dlmon.rejects.patch import Patch, PatchFailed


@pytest.mark.parametrize(
    ("expression", "before", "after"),
    [
        (".speed |= tonumber", {"speed": "12.5", "a": "é"}, {"speed": 12.5, "a": "é"}),
        (".size *= 1024", {"size": 2}, {"size": 2048}),
        ("del(.extra)", {"a": 1, "extra": None}, {"a": 1}),
        ('.at |= sub(" "; "T")', {"at": "2026-03-01 12:00:00Z"}, {"at": "2026-03-01T12:00:00Z"}),
        (".", {"exact": 51.935739, "whole": 2**53, "nested": [[], {}]}, None),
    ],
)
def test_an_event_is_corrected(expression: str, before: Any, after: Any) -> None:
    assert orjson.loads(Patch(expression).apply(before)) == (after or before)


@pytest.mark.parametrize("expression", [".a |=", "nonsense", '"unfinished'])
def test_what_is_no_jq_is_wrong_usage(expression: str) -> None:
    with pytest.raises(UsageError, match="is no jq expression"):
        Patch(expression)


def test_members_keep_their_order() -> None:
    assert Patch(".b |= tonumber").apply({"z": 1, "b": "2", "a": 3}) == b'{"z":1,"b":2,"a":3}'


@pytest.mark.parametrize(
    ("expression", "event", "reason"),
    [
        (".a |= tonumber", {"a": "fast"}, "cannot be parsed as a number"),
        (".a, .b", {"a": 1, "b": 2}, "2 results"),
        ("empty", {}, "0 results"),
        ('error("not this one")', {}, "not this one"),
        (".a[0]", {"a": 1}, "Cannot index number"),
    ],
)
def test_a_correction_that_does_not_fit_says_why(expression: str, event: Any, reason: str) -> None:
    with pytest.raises(PatchFailed, match=reason):
        Patch(expression).apply(event)


def test_a_number_that_jq_would_change_is_never_touched() -> None:
    with pytest.raises(PatchFailed, match="cannot keep exactly"):
        Patch(".speed |= tonumber").apply({"speed": "1", "account": 2**53 + 1})
