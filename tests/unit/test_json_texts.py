"""What RFC 8259 calls JSON passes, and nothing else does, in every layout of a file."""

from __future__ import annotations

import json
from functools import cache
from itertools import accumulate
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlmon.event_files.block import Block
from dlmon.event_files.detect import Layout
from dlmon.event_files.reader import read_events
from dlmon.linting.checker import BlockChecker
from dlmon.validation.schema import Schema
from dlmon.validation.validator import Validator

VALID = [
    *(b"{}", b"[]", b'""', b"0", b"-0", b"1", b"true", b"false", b"null", b'"a"'),
    *(b" \t\r 1 \t\r ", b'{ "a" : 1 , "b" : [ ] }', b"[[],{},[[{}]]]", b'[1, "a", null]'),
    *(b"1.0", b"-1.5", b"1e1", b"1E1", b"1e+1", b"1e-1", b"1.5E-10", b"0e0", b"0.0", b"-0.0e-0"),
    *(b"9007199254740993", b"123456789012345678901234567890", b"1e-400", b"0.1e308"),
    *(b'"\\"\\\\\\/\\b\\f\\n\\r\\t"', b'"\\u0000"', b'"\\uD83D\\uDE00"', b'"\\u00e9\\uABCD"'),
    *('"é☃😀"'.encode(), '"\u2028\u2029\ufeff\u007f"'.encode(), b'"/"', b'"[{\\"}]"'),
    *(b'{"":1}', b'{"\\u0061":{"a":{}}}', '{"é":[{}]}'.encode(), b'{"a":"}","b":"]"}'),
]
INVALID = [
    *(b"{", b"}", b"[", b"]", b"{]", b"[}", b"[1}", b'{"a":1]', b"[[]", b"{}}", b"[]]", b'{"a":{}'),
    *(b"[1,]", b"[,1]", b"[1,,2]", b"[,]", b"[1 2]", b'{"a":1,}', b'{,"a":1}', b'{"a":1 "b":2}'),
    *(b"{1:1}", b"{a:1}", b'{"a"}', b'{"a":}', b"{:1}", b'{"a":1:2}', b'{"a",1}', b"{null:1}"),
    *(b"01", b"-01", b"00", b"1.", b".1", b"-.1", b"1.e1", b"1e", b"1e+", b"1e1.5", b"+1", b"-"),
    *(b"--1", b"1-", b"0x1", b"1_0", b"1a", b"1.2.3", b"NaN", b"-NaN", b"Infinity", b"-Infinity"),
    *(b"tru", b"True", b"TRUE", b"truefalse", b"nul", b"nulll", b"None", b"undefined", b"'a'"),
    *(b'"', b'"a', b'a"', b'"a""', b'"\\', b'"\\"', b'"\\x41"', b'"\\u12"', b'"\\u12G4"', b'"\\ "'),
    *(b'"\t"', b'"\x00"', b'"\x1f"', b"\x00", b"1\x00", b"\x0b1", b"\x0c1", "\u00a01".encode()),
    *(b"[1]//a", b"/*a*/1", b"#a", b"[1];", b"1,", b",1", b":", b"1 true x", b"=", b"<a/>"),
    *(b'"\xff"', b'"\xc3"', b'"\xc0\xaf"', b'"\xed\xa0\x80"', b'"\xf4\x90\x80\x80"', b"\xff"),
    *(b"\xef\xbb\xbf{}", b"\xef\xbb\xbf", b"\xef\xbb", b"\xe2\x80\xa81"),
]
# Grammar has no limits; section 9 lets a parser have some. These are dlmon's.
BEYOND_LIMITS = [b"1e400", b"-1e400", b'"\\ud800"', b'"\\udc00\\ud800"', b"[" * 201 + b"]" * 201]


@cache
def checker() -> BlockChecker:
    return BlockChecker(Validator(Schema(True, "test")))


def findings(text: bytes, layout: Layout) -> int:
    parts = read_events(iter([text] if text else []), 65536, layout)
    return sum(checker().check("f", part).findings for part in parts if isinstance(part, Block))


@pytest.mark.parametrize("text", VALID)
def test_valid_texts_pass(text: bytes) -> None:
    assert findings(text, Layout.NDJSON) == 0
    assert findings(text, Layout.JSON) == 0
    assert findings(b"[" + text + b"]", Layout.ARRAY) == 0
    assert findings(b"[" + text + b"\n,\r\n" + text + b"]", Layout.ARRAY) == 0


@pytest.mark.parametrize("text", INVALID + BEYOND_LIMITS)
def test_invalid_texts_are_found(text: bytes) -> None:
    assert findings(text, Layout.NDJSON) >= 1
    assert findings(b"1\n" + text + b"\n1", Layout.NDJSON) >= 1
    if text != b"1,":  # which makes one array of it
        assert findings(b"[" + text + b"]", Layout.ARRAY) + findings(text, Layout.JSON) >= 1


@pytest.mark.parametrize(
    "text",
    [b"[1,]", b"[,1]", b"[,]", b"[1,,2]", b"[1 2]", b"[", b"[1", b"[1,", b"]", b"[]]", b"[1}",
     b"[{]", b"[1],", b",[1]", b"[}", b"[[]", b"[1:2]", b'["a":1]', b"[1],[2]"],
)  # fmt: skip
def test_what_is_wrong_between_the_elements_of_an_array_is_found(text: bytes) -> None:
    assert findings(text, Layout.ARRAY) >= 1


TOKENS = st.sampled_from(
    [*'{}[],:"\\ \t\n\r0123.-+eEtfn/', "true", "null", '"a"', '"a":', "1", "\\u00e9", "é", "\x00"]
)


def no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def oracle(text: str) -> bool:
    """Whether Python's own parser, made strict, takes it."""
    try:
        json.loads(text, parse_constant=no_constant)
    except ValueError:
        return False
    # It also strips white space that is none in JSON.
    return not any(character in text.strip(" \t\r\n")[:1] + text[-1:] for character in "\x0b\x0c")


@given(st.lists(TOKENS, max_size=12).map("".join))
def test_another_parser_takes_the_same_random_texts(text: str) -> None:
    line = text.replace("\n", " ").encode()
    if line.strip(b" \t\r"):
        assert (findings(line, Layout.NDJSON) == 0) == oracle(line.decode())


@given(st.lists(TOKENS, max_size=12).map("".join))
def test_another_parser_takes_the_same_random_arrays(text: str) -> None:
    array = f"[{text}]"
    depths = accumulate({"[": 1, "]": -1}.get(character, 0) for character in array[:-1])
    # Several texts in one file are fine here, and are none for a parser of one text.
    if min(depths) > 0:
        assert (findings(array.encode(), Layout.ARRAY) == 0) == oracle(array)
