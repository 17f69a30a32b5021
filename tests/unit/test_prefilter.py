"""The prefilter misses no invalid event: it is compared with validating each by itself."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dlmon.event_files.block import WHITESPACE
from dlmon.linting.prefilter import UNKNOWN, Prefilter
from dlmon.validation.schema import Schema, load_schema
from dlmon.validation.validator import Validator
from tests.support.blocks import by_lines, by_spans, candidates_in
from tests.support.events import make_body

NESTED = {
    "type": "object",
    "required": ["a", "b"],
    "properties": {
        "a": {"type": "string"},
        "b": {"type": "object", "required": ["c"]},
    },
}
# Alone, some are no JSON; together with others, they could be.
TEXTS = st.sampled_from(
    [
        *(b'{"a":"","b":{"c":1}}', b'{"a":"x","b":{"c":[]}}', b'{"b":{"c":1},"a":""}\r'),
        *(b'{"a":"","a":"","b":{"c":1}}', b'{"a":"","b":{"c":1,"c":2}}', b'{"a":1,"b":{"c":"x"}}'),
        *(b'{"a":"\\"","b":{"c":1}}', b'{"\\u0061":"","a":"\\\\","b":{"c":1}}', b'{"a":""}'),
        *(b"", b" ", b"1", b"1,2", b"[1", b"2]", b"]", b"[", b'{"a":[{}', b"{}]}", b"{},{}", b'"'),
        *(b'"",""', b"[[]]", b"\xff", b"\xef\xbb\xbf{}", b"NaN", b"{", b"[" * 300 + b"]" * 300),
    ]
)


@pytest.mark.parametrize("document", [NESTED, True, {"type": "array"}, {"type": "string"}])
@pytest.mark.parametrize("limit", [65536, 40])
@given(lists=st.lists(st.lists(TEXTS, max_size=60), min_size=1, max_size=3))
@example([[b"[1", b"2]"]])
@example([[b"1,2"]])
@example([[b"[1", b"2]", b"3,4,5"]])
@example([[b" "]])
@example([[b"[" * 300 + b"]" * 300]])
@example([[b"[1", b"2]", b"3,4"]])
@example([[b'{"a":[{}', b"{}]}", b"{},{}"]])
@example([[b'1,"",2', b"[1", b"2]"]])
def test_every_invalid_event_is_a_candidate(
    document: Any, limit: int, lists: list[list[bytes]]
) -> None:
    validator = Validator(Schema(document, "test"), limit)
    lines, spans = Prefilter(validator), Prefilter(validator)  # each remembers what it has seen
    for texts in lists:
        events = [text for text in texts if text.strip(WHITESPACE)]
        invalid = {text for text in events if not validator.validate(text).valid}
        for prefilter, block in ((lines, by_lines(texts)), (spans, by_spans(events))):
            number, candidates = candidates_in(prefilter, block)
            assert number == len(events)
            found = [block.data[one.start : one.end] for one in candidates]
            assert invalid <= set(found)
            assert sum(text in invalid for text in found) == sum(text in invalid for text in events)
            for text, candidate in zip(found, candidates, strict=True):
                if candidate.value is not UNKNOWN:
                    # Then counting what the schema says is counting all there is.
                    errors = validator.schema.compiled.iter_errors(candidate.value)
                    assert len(list(errors)) == len(validator.validate(text).violations)


@given(st.integers(0, 400), st.sampled_from([make_body(a=[1]), make_body(), b'{"a":1}']))
def test_valid_events_are_no_candidates_unless_most_are_invalid(at: int, body: bytes) -> None:
    texts = [make_body()] * 400
    texts.insert(at, b"{}")
    texts.insert(at, body)
    number, candidates = candidates_in(Prefilter(Validator(load_schema())), by_lines(texts))
    assert number == 402
    assert len(candidates) == 1 + (body == b'{"a":1}')


def strings(value: Any) -> int:
    """Keys and strings in a value, counted one by one."""
    if isinstance(value, dict):
        return sum(1 + strings(one) for one in value.values())
    if isinstance(value, list):
        return sum(map(strings, value))
    return int(isinstance(value, str))


@pytest.mark.parametrize(
    "document",
    [
        NESTED,
        {"$schema": "http://json-schema.org/draft-07/schema#", **NESTED},
        {"type": "object"},
        {"type": "object", "required": ["a"], "properties": {"a": {"type": ["string", "null"]}}},
        {"required": ["a", "b"]},
        {"type": "object", "required": ["a"], "properties": {"a": False}},
    ],
)
@given(
    value=st.recursive(
        st.sampled_from(["", 1, None]),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3)
        ),
    )
)
def test_an_event_with_one_key_more_is_seen(document: Any, value: Any) -> None:
    validator = Validator(Schema(document, "test"))
    body = json.dumps(value).encode()
    if not isinstance(value, dict) or not validator.validate(body).valid:
        return
    twice = body[:-1] + (b"," if value else b"") + b'"d":1,"d":1}'
    assert strings(orjson.loads(twice)) == strings(value) + 1
    _, candidates = candidates_in(Prefilter(validator), by_lines([body, twice, body]))
    assert [(one.start, one.value is UNKNOWN) for one in candidates] == [(len(body) + 1, True)]
