"""Where findings are, compared with a slow method that shares no code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dlmon.event_files.block import Block, Fragment, Position
from dlmon.event_files.detect import Layout
from dlmon.event_files.reader import read_events
from dlmon.linting.checker import BlockChecker
from dlmon.linting.findings import CheckOptions, Finding, Snippet
from dlmon.sources.simulation import Simulation
from dlmon.validation.schema import Schema, load_schema
from dlmon.validation.validator import Validator
from tests.support.slow_json import SlowReader

# Every number and every boolean breaks a rule, wherever it is.
NO_NUMBERS = {
    "type": ["object", "array", "string", "null"],
    "additionalProperties": {"$ref": "#"},
    "items": {"$ref": "#"},
}
LIMIT = 64 * 1024


@cache
def validator(limit: int = LIMIT) -> Validator:
    return Validator(Schema(NO_NUMBERS, "test"), limit)


def cut(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    at = 0
    for size in sizes:
        if data[at : at + size]:
            yield data[at : at + size]
        at += size
    if data[at:]:
        yield data[at:]


def find(
    data: bytes, sizes: list[int] | None = None, layout: Layout | None = None, limit: int = LIMIT
) -> list[Finding]:
    checker = BlockChecker(validator(limit))
    return [
        finding
        for part in read_events(cut(data, sizes or []), limit, layout)
        if isinstance(part, Block)
        for finding in checker.check("file", part).shown
    ]


KEYS = st.sampled_from(["a", "b", "", "é", "a/b", "~", "\\", '"', "\u0001", "☃", "😀", "{", "]"])
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | KEYS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=4)
SHIPPED = load_schema().document
SIZES = st.lists(st.integers(1, 40), max_size=40)


def write(value: Any, data: st.DataObject, space: str) -> str:
    """JSON with any white space, and characters escaped or not."""

    def gap() -> str:
        return data.draw(st.text(space, max_size=2)) if space else ""

    if isinstance(value, dict):
        members = [
            f"{gap()}{write(key, data, space)}{gap()}:{gap()}{write(one, data, space)}{gap()}"
            for key, one in value.items()
        ]
        return f"{{{','.join(members) or gap()}}}"
    if isinstance(value, list):
        items = [f"{gap()}{write(one, data, space)}{gap()}" for one in value]
        return f"[{','.join(items) or gap()}]"
    return json.dumps(value, ensure_ascii=data.draw(st.booleans()))


def expected(readings: Iterator[list[Any]]) -> list[tuple[str, int, int, str]]:
    return sorted(
        (one.pointer, one.line, one.column, one.text)
        for values in readings
        for one in values
        if one.text[0] in "-0123456789tf"
    )


def found(text: str, findings: list[Finding]) -> list[tuple[str, int, int, str]]:
    lines = text.split("\n")
    return sorted(
        (
            one.path,
            one.position.line,
            one.position.column,
            lines[one.position.line - 1][one.position.column - 1 : one.end.column - 1],
        )
        for one in findings
    )


@given(st.lists(OBJECTS, max_size=6), st.sampled_from(["\n", "\r\n", "\n\n", "\n \n"]), st.data())
def test_places_in_lines(events: list[Any], end: str, data: st.DataObject) -> None:
    text = end.join(write(event, data, " \t") for event in events)
    text += data.draw(st.sampled_from(["", end]))
    findings = find(text.encode(), data.draw(SIZES), Layout.NDJSON)
    assert found(text, findings) == expected(SlowReader(text).texts())


@given(st.lists(OBJECTS, min_size=1, max_size=6), st.data())
def test_places_in_texts_one_after_the_other(events: list[Any], data: st.DataObject) -> None:
    text = "\n".join(write(event, data, " \t\r\n") for event in events)
    findings = find(text.encode(), data.draw(SIZES), Layout.JSON)
    assert found(text, findings) == expected(SlowReader(text).texts())


@given(st.lists(VALUES, max_size=8), st.data())
def test_places_in_arrays(events: list[Any], data: st.DataObject) -> None:
    text = write(events, data, " \t\r\n")
    findings = find(text.encode(), data.draw(SIZES), Layout.ARRAY)
    assert found(text, findings) == expected(SlowReader(text).elements())


@given(st.lists(OBJECTS, min_size=1, max_size=5), st.data())
def test_the_layout_of_valid_files_is_detected(events: list[Any], data: st.DataObject) -> None:
    sizes = data.draw(SIZES)
    lines = "\n".join(map(json.dumps, events))
    assert found(lines, find(lines.encode(), sizes)) == expected(SlowReader(lines).texts())
    for indent in (None, 2):
        array = json.dumps(events, indent=indent)
        assert found(array, find(array.encode(), sizes)) == expected(SlowReader(array).elements())
    pretty = json.dumps(events[0], indent=2)
    assert found(pretty, find(pretty.encode(), sizes)) == expected(SlowReader(pretty).texts())


def without_snippets(findings: list[Finding]) -> list[Finding]:
    """A snippet shows no more than what had arrived."""
    return [replace(one, snippet=Snippet("", 0, 0)) for one in findings]


@example(b",]", [1], Layout.JSON)
@given(st.binary(max_size=200), SIZES, st.sampled_from([None, *Layout]))
def test_any_bytes_give_findings_however_they_arrive(
    data: bytes, sizes: list[int], layout: Layout | None
) -> None:
    if layout is None:  # detection depends on how much of the file has arrived
        find(data, sizes)
    else:
        apart, together = find(data, sizes, layout), find(data, None, layout)
        assert without_snippets(apart) == without_snippets(together)


@given(
    st.lists(st.sampled_from(["{", "}", "[", "]", ",", '"', "1", "\\", "\n", " ", '{"a":1}', "é"])),
    SIZES,
    st.sampled_from(list(Layout)),
    st.integers(1, 30),
)
def test_broken_texts_of_any_size_give_the_same_findings_however_they_arrive(
    tokens: list[str], sizes: list[int], layout: Layout, limit: int
) -> None:
    data = "".join(tokens).encode()
    together, apart = (
        [(one.position, one.code) for one in find(data, cuts, layout, limit)]
        for cuts in (None, sizes)
    )
    assert together == apart


@given(st.lists(st.lists(VALUES, max_size=3), max_size=5), st.data())
def test_every_byte_of_long_events_comes_in_pieces(events: list[Any], data: st.DataObject) -> None:
    lines = [write(event, data, " ") for event in events]
    text = "".join(f"{line}\n" for line in lines).encode()
    parts = list(read_events(cut(text, data.draw(SIZES)), 10, Layout.NDJSON))
    given_back = b"".join(
        part.data for part in parts if isinstance(part, Fragment) or not part.oversized
    )
    assert given_back == text


def test_the_first_violation_alone_when_that_is_wanted() -> None:
    (part,) = read_events(iter([b'{"a": 1, "b": 2}']), LIMIT)
    assert isinstance(part, Block)
    report = BlockChecker(validator(), CheckOptions(first_only=True)).check("file", part)
    assert [one.path for one in report.shown] == ["/a"]


@pytest.mark.parametrize("wanted", [0, 1, 2, None])
def test_no_more_findings_than_wanted_are_shown_and_all_are_counted(wanted: int | None) -> None:
    lines = b'{"a": 1}\n{"b": [1, true]}\n{\n{"c": 1, "c": 1}\n'
    (part,) = read_events(iter([lines]), LIMIT)
    assert isinstance(part, Block)
    report = BlockChecker(validator()).check("file", part, wanted)
    assert (report.events, report.invalid, report.findings) == (4, 4, 5)
    assert len(report.shown) == (5 if wanted is None else wanted)


@pytest.mark.parametrize("schema", [load_schema(), Schema({"allOf": [SHIPPED]}, "test")])
@pytest.mark.parametrize("first_only", [False, True])
@given(seed=st.integers(0, 99), share=st.sampled_from([0.02, 0.4, 1.0]))
def test_what_is_only_counted_is_counted_as_if_it_were_shown(
    schema: Schema, first_only: bool, seed: int, share: float
) -> None:
    events = Simulation(seed=seed, start=0, invalid=share).take(100)
    block = Block(b"\n".join(event.body for event in events), Position())
    for tally in (False, True):
        checker = BlockChecker(Validator(schema), CheckOptions(first_only, tally))
        explained, counted = (checker.check("file", block, wanted) for wanted in (None, 0))
        assert counted == explained._replace(shown=())
        assert len(explained.shown) == explained.findings


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_document_that_is_broken_in_its_second_line_is_one(end: str) -> None:
    (finding,) = find(f'{{"a": "",{end} "b": [null,,]{end}}}{end}'.encode())
    assert (finding.code, finding.position) == ("not-json", (2, 13))


@pytest.mark.parametrize("layout", [Layout.JSON, Layout.ARRAY])
@pytest.mark.parametrize("text", [b"", b" \n\t\r\n"])
def test_a_file_that_has_to_be_json_has_a_value(layout: Layout, text: bytes) -> None:
    (finding,) = find(text, None, layout)
    assert (finding.code, finding.reason) == ("not-json", "there is no JSON text")
    assert find(text, None, Layout.NDJSON) == find(text) == find(b"[]", None, layout) == []
