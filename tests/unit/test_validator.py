from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from dlmon.errors import SchemaError
from dlmon.validation.schema import Schema, load_schema
from dlmon.validation.validator import MAX_DEPTH, Validator
from tests.support.events import make_body, make_event


@cache
def validator() -> Validator:
    return Validator(load_schema())


@cache
def oracle() -> Draft202012Validator:
    return Draft202012Validator(load_schema().document, format_checker=FormatChecker())


def codes(body: bytes) -> list[str]:
    return [violation.code for violation in validator().validate(body).violations]


NUMBERS = st.one_of(
    st.integers(-(2**65), 2**65),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0, -0.0, 90, -90.0, 90.5, 180, 2**53 - 1, 2**53, 1.0, 1e15, 1e300, 5e-324]),
)
TIMES = st.one_of(
    st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
    st.sampled_from(
        [
            "2026-03-01T12:00:00Z",
            "2026-03-01t12:00:00.123456789z",
            "2026-03-01T12:00:00+05:30",
            "2026-03-01T12:00:00-23:59",
            "2026-03-01 12:00:00Z",
            "2026-03-01T12:00:00",
            "2026-03-01",
            "2026-02-29T12:00:00Z",
            "2026-13-01T12:00:00Z",
            "2026-03-01T24:00:00Z",
            "2026-03-01T12:00:61Z",
            "2026-03-01T12:00:00+0530",
            "2026-03-01T12:00Z",
            "20260301T120000Z",
        ]
    ),
)
IDS = st.one_of(
    st.uuids().map(str),
    st.uuids().map(lambda id_: str(id_).upper()),
    st.uuids().map(lambda id_: id_.hex),
    st.uuids().map(lambda id_: f"{{{id_}}}"),
    st.uuids().map(lambda id_: id_.urn),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TIMES, IDS, st.text(max_size=20)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)
MEMBERS: dict[str, st.SearchStrategy[Any]] = {
    "event_id": IDS,
    "timestamp": TIMES,
    "file_size": NUMBERS,
    "download_speed": NUMBERS,
}


@st.composite
def events(draw: st.DrawFn) -> Any:
    """An event of which some members are changed or missing."""
    event = make_event()
    for holder, name, likely in (
        *((event, name, likely) for name, likely in MEMBERS.items()),
        (event["coordinates"], "latitude", NUMBERS),
        (event["coordinates"], "longitude", NUMBERS),
        (event, "coordinates", VALUES),
        (event, "extra", VALUES),
    ):
        match draw(st.integers(0, 9)):
            case 0:
                holder[name] = draw(VALUES)
            case 1:
                holder.pop(name, None)
            case 2 | 3 | 4:
                holder[name] = draw(likely)
    return event


@given(st.one_of(events(), VALUES))
def test_verdicts_equal_those_of_jsonschema(event: Any) -> None:
    body = json.dumps(event).encode()
    try:
        # What a JSON parser makes of the text is not what is compared here.
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return
    expected = sorted({str(error.validator) for error in oracle().iter_errors(parsed)})
    assert sorted(set(codes(body))) == expected


@given(st.binary(max_size=200))
def test_any_bytes_get_a_verdict(body: bytes) -> None:
    verdict = validator().validate(body)
    assert verdict.violations or verdict.event
    for violation in verdict.violations:
        assert violation.code


@given(st.data())
def test_any_damage_to_an_event_gets_a_verdict(data: st.DataObject) -> None:
    body = bytearray(make_body(note="é\\ud83d\\u0000"))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(body)))
        end = data.draw(st.integers(start, min(len(body), start + 3)))
        body[start:end] = data.draw(st.binary(max_size=3) | st.sampled_from([b'"', b"\\", b"{"]))
    verdict = validator().validate(bytes(body))
    if verdict.valid:
        assert json.loads(body.decode()) == verdict.event


KEYS = st.sampled_from(["a", "b", "", "é", "a/b", "~", "\\", '"', "\u0001"])
DOCUMENTS = st.recursive(
    st.one_of(st.none(), st.integers(-9, 9), KEYS),
    lambda inner: (
        st.lists(inner, max_size=3) | st.lists(st.tuples(KEYS, inner), max_size=4).map(tuple)
    ),
    max_leaves=12,
)


def write(document: object, data: st.DataObject) -> str:
    """JSON text in which tuples are objects, so that keys can repeat, with some keys escaped."""
    if isinstance(document, list):
        return f"[{', '.join(write(item, data) for item in document)}]"
    if isinstance(document, tuple):
        members = []
        for key, value in document:
            name = json.dumps(key, ensure_ascii=data.draw(st.booleans()))
            if key == "a" and data.draw(st.booleans()):
                name = '"\\u0061"'
            members.append(f"{name}:{write(value, data)}")
        return f"{{{','.join(members)}}}"
    return json.dumps(document, ensure_ascii=False)


@given(DOCUMENTS, st.data())
def test_duplicate_keys_are_found_wherever_they_are(document: object, data: st.DataObject) -> None:
    text = write(document, data)
    found = []

    def look(pairs: Sequence[tuple[str, object]]) -> None:
        found.append(len(pairs) != len({key for key, _ in pairs}))

    json.loads(text, object_pairs_hook=look)
    assert (codes(text.encode())[:1] == ["duplicate-key"]) == any(found)


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"a":1}',
        b'{"a":{"b":1,"b":"\\u0022"}}',
        b'{"\\u0061":"\\"","a":"\\""}',
        make_body().replace(b"{", b'{"file_size":7,', 1),
    ],
)
def test_duplicate_keys_are_found_however_they_are_spelled(body: bytes) -> None:
    assert codes(body)[0] == "duplicate-key"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "not-json"),
        (b"\0", "not-json"),
        (make_body()[:-20], "not-json"),
        (make_body() + b"}", "not-json"),
        (make_body() + b"\0", "not-json"),
        (make_body(note="\\xff").replace(b"\\\\xff", b"\xff"), "not-utf8"),
        (b"\xef\xbb\xbf" + make_body(), "not-json"),
        (make_body().decode().encode("utf-16"), "not-utf8"),
        (b'{"a": "\\ud800"}', "not-json"),
        (b"\xed\xa0\x80", "not-utf8"),
        (b'{"download_speed": NaN}', "not-json"),
        (b'{"download_speed": 1e400}', "not-json"),
        (b'{"file_size": ' + b"9" * 5000 + b"}", "not-json"),
        (b"[" * 100_000, "too-large"),
        (b"[" * 30_000 + b"]" * 30_000, "not-json"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "not-json"),
        (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, "type"),
        (b"null", "type"),
        (b"[]", "type"),
        (b'"text"', "type"),
        (b"17", "type"),
        (b"{}", "required"),
        (b'{"a": 1, "a": 1}', "duplicate-key"),
        (make_body(note="x" * 65536), "too-large"),
        (make_body(timestamp="yesterday"), "format"),
        (make_body(event_id="1"), "format"),
        (make_body(file_size=-1), "minimum"),
        (make_body(file_size=2**53), "maximum"),
        (make_body(file_size=1.5), "type"),
        (make_body(download_speed="1"), "type"),
    ],
)
def test_each_kind_of_fault_has_its_code(body: bytes, code: str) -> None:
    assert codes(body)[0] == code


def test_violations_say_where() -> None:
    body = make_body(coordinates={"latitude": 91}, file_size="1")
    places = {(v.code, v.path) for v in validator().validate(body).violations}
    assert places == {
        ("maximum", "/coordinates/latitude"),
        ("required", "/coordinates"),
        ("type", "/file_size"),
    }


def test_text_that_is_no_json_says_at_which_byte() -> None:
    (violation,) = validator().validate('{"é": tru}'.encode()).violations
    assert (violation.code, violation.offset) == ("not-json", 7)
    (violation,) = validator().validate(b'{"\xff": 1}').violations
    assert (violation.code, violation.offset) == ("not-utf8", 2)


def test_of_very_many_violations_a_hundred_are_reported() -> None:
    schema = Schema({"items": {"type": "string"}}, "test")
    assert len(Validator(schema).validate(b"[" + b"1," * 500 + b"1]").violations) == 100


def test_of_very_many_duplicate_keys_a_hundred_are_reported() -> None:
    body = b"{" + b",".join(b'"%d":1,"%d":1' % (number, number) for number in range(150)) + b"}"
    violations = validator().validate(body).violations
    assert len(violations) == 100
    assert (violations[0].code, violations[0].path) == ("duplicate-key", "/0")
    assert violations[0].reason == "the key stands more than once in its object"


def test_a_body_that_is_too_large_has_no_path() -> None:
    (violation,) = Validator(load_schema(), 10).validate(b" " * 11).violations
    assert (violation.code, violation.path) == ("too-large", "")
    assert violation.reason == "11 bytes are more than the limit of 10"


@pytest.mark.parametrize(("start", "end"), [(b"[", b"]"), (b'{"a":', b"}"), (b"[[],", b"]")])
@pytest.mark.parametrize("inner", [b"[{},{},{}]", b'{"a":[],"b":{},"c":[]}'])
def test_levels_of_nesting_are_counted_and_not_brackets(
    start: bytes, end: bytes, inner: bytes
) -> None:
    outer = MAX_DEPTH - 2
    assert "not-json" not in codes(start * outer + inner + end * outer)
    (violation,) = validator().validate(start * (outer + 1) + inner + end * (outer + 1)).violations
    assert violation.code == "not-json"
    assert violation.reason == "nested more than 200 levels deep"


def test_a_schema_that_is_none_is_refused_in_words(tmp_path: Path) -> None:
    file = tmp_path / "schema.json"
    with pytest.raises(SchemaError, match="No such file"):
        load_schema(file)
    for text, words in (
        ("{", "is not JSON"),
        ("[]", "must be a JSON object"),
        ('{"type": "text"}', "is not valid JSON Schema at /type"),
        (
            '{"$ref": "https://example.com/other"}',
            r"other \(at /\$ref\).* --schema-ref other ",
        ),
    ):
        file.write_text(text)
        with pytest.raises(SchemaError, match=words):
            load_schema(file)


def test_schemas_with_one_id_and_other_rules_have_other_versions() -> None:
    loose, strict = (Schema({"$id": "urn:x", "minimum": n}, "test") for n in (1, 2))
    assert loose.version.startswith("urn:x ")
    assert loose.version != strict.version
    assert loose.version == Schema({"minimum": 1, "$id": "urn:x"}, "elsewhere").version


@given(
    st.lists(
        st.one_of(
            st.just(make_body()),
            st.builds(lambda speed: make_body(download_speed=speed), st.integers(-1, 1)),
            st.sampled_from(
                [
                    b"",
                    b"[]",
                    b"\xff",
                    b"{" + b" " * 500 + make_body()[1:],
                    make_body(agent="4.2.0"),
                    make_body(agent='"\\"'),
                    make_body()[:-1] + b',"file_size":1}',
                    b"[" * 199 + b"]" * 199,
                    b"[" * 201 + b"]" * 201,
                ]
            ),
        ),
        max_size=80,
    )
)
def test_validating_several_bodies_is_the_same_as_validating_each(bodies: list[bytes]) -> None:
    validator = Validator(load_schema(), max_event_bytes=600)
    assert validator.validate_all(bodies) == [validator.validate(body) for body in bodies]
