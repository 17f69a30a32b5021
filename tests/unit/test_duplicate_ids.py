"""Repeated ids, by the rule that stores compare ids by."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlmon.errors import FileError
from dlmon.event import normalize_id
from dlmon.event_files.block import Block, Position
from dlmon.linting import duplicate_ids
from dlmon.linting.duplicate_ids import SeenIds, ids_in
from dlmon.runtime.stop import Stop
from dlmon.stores.base import Entry
from dlmon.stores.columns import to_rows, to_utc
from tests.support.blocks import by_lines
from tests.support.events import make_body, make_event

ID = "0b8f3d0a-6b1c-4a4b-9f7e-6f1b6f0e0f4a"


def repeated(blocks: Sequence[Block]) -> list[tuple[int, int, str, bool]]:
    """File, line, id and whether the body is the same, of each repetition. A block is a file."""
    with SeenIds(Stop()) as seen:
        for number, block in enumerate(blocks):
            seen.add(number, ids_in(block))
        return [(one.number, one.line, one.event_id, one.same_body) for one in seen.repeated()]


def test_an_id_in_other_letters_is_repeated_and_shown_as_it_is_written() -> None:
    lines = [make_body(event_id=one) for one in (ID, ID.upper(), ID)]
    assert repeated([by_lines(lines)]) == [(0, 2, ID.upper(), False), (0, 3, ID, True)]
    assert repeated([by_lines(lines[:1]), by_lines(lines[1:2])]) == [(1, 1, ID.upper(), False)]


@given(st.lists(st.sampled_from(["É", "é", "K", "k", "ſ", "s", "x-1", "X-1", "İ"]), max_size=6))
def test_ids_of_any_letters_are_repeated_if_a_store_finds_them_the_same(ids: list[str]) -> None:
    seen: set[str] = set()
    expected = []
    for line, event_id in enumerate(ids, start=1):
        event = make_event(event_id=event_id)
        _, (row,), _ = to_rows([Entry(event_id, b"{}", event)], to_utc)
        if row.event_id in seen:
            expected.append((line, event_id))
        seen.add(row.event_id)
        assert row.event_id == normalize_id(event_id)
    found = repeated([by_lines([make_body(event_id=one) for one in ids])])
    assert [(line, event_id) for _, line, event_id, _ in found] == expected


def test_a_stop_ends_the_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicate_ids, "_STEPS", 1)
    stop = Stop()
    with SeenIds(stop) as seen:
        seen.add(0, ids_in(Block(b"\n".join([make_body(event_id=ID)] * 3), Position())))
        found = seen.repeated()
        next(found)
        stop.request()
        assert list(found) == []
        assert list(seen.repeated()) == []


def test_a_full_temporary_folder_is_an_error_that_says_what_to_do() -> None:
    with SeenIds(Stop()) as seen:
        seen._database.execute("PRAGMA max_page_count = 3")
        with pytest.raises(FileError, match="SQLITE_TMPDIR"):
            seen.add(0, ids_in(by_lines([make_body() for _ in range(1000)])))
